// The WebRTC calls of a session whose media end here: at most one at a time, and a newer one takes over from an older
// once its data channel is open. The provider's connection is the session's, and outlives them.

import { type ModelEvent, ParleyError, randomSuffix, type SessionState } from '@parley/core';
import type { MediaChannel, MediaEnd, MediaPeer } from '@parley/media';
import type { CallPort, CallStatus } from '../call-port.ts';
import type { ClientPort } from '../client-port.ts';
import type { SessionLog } from '../log.ts';
import { endsByMs } from '../resource.ts';
import { BridgeSocket } from './bridge-socket.ts';
import type { Bridges } from './bridges.ts';

export interface BridgeCallsOptions {
  bridges: Bridges;
  client: ClientPort;
  log: SessionLog;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
  /** The client may speak. */
  listens: boolean;
  truncate: (item_id: string, audio_ms: number) => void;
  now: () => number;
}

interface Call {
  connection_id: string;
  peer: MediaPeer;
  offered_at_ms: number;
  wantsEvents: boolean;
  /** Its data channel is open. */
  socket: BridgeSocket | null;
  /** Why it ends, when that is known before it does. */
  reason: string | null;
}

export class BridgeCalls implements CallPort {
  readonly #options: BridgeCallsOptions;
  /** The newest whose media are not there yet. */
  #coming: Call | null = null;
  #current: Call | null = null;
  #closed = false;

  constructor(options: BridgeCallsOptions) {
    this.#options = options;
  }

  get status(): CallStatus {
    const call = this.#current ?? this.#coming;
    if (!call) return { status: 'none' };
    return { status: call.socket ? 'connected' : 'connecting', connection_id: call.connection_id };
  }

  async offer(sdp: string, signal: AbortSignal, wantsEvents: boolean): Promise<string> {
    if (!/^m=application /m.test(sdp)) {
      throw new ParleyError('invalid_argument', 'the offer must have a data channel: events go over it');
    }
    const { log, bridges, record, now } = this.#options;
    const connection_id = `conn_${randomSuffix()}`;
    const offered_at_ms = now();
    await log.append({ type: 'call.offered', connection_id, media: 'bridge' });
    let call: Call | null = null;
    try {
      const peer = await bridges.open(sdp, { id: connection_id, until_ms: endsByMs(log.state) });
      call = { connection_id, peer, offered_at_ms, wantsEvents, socket: null, reason: null };
      const answer = await this.#answered(call, sdp, signal);
      record({ type: 'call.created', connection_id, media: 'bridge' });
      return answer;
    } catch (caught) {
      const error = ParleyError.from(caught, 'internal');
      if (call) this.#drop(call, 'failed');
      record({ type: 'call.failed', connection_id, error: error.toObject() });
      throw error;
    }
  }

  hangUp(reason: string): void {
    if (this.#coming) this.#drop(this.#coming, reason);
    const current = this.#current;
    if (!current) return;
    current.reason = reason;
    this.#options.client.leave(1000, reason);
  }

  close(reason: string): void {
    this.#closed = true;
    if (this.#coming) this.#drop(this.#coming, reason);
    // The socket of the current one is closed as the session's client, with the session's code.
  }

  /** What whoever plays the answers knows better than the model. */
  told(event: ModelEvent, state: SessionState): ModelEvent {
    const socket = this.#current?.socket;
    if (!socket) return event;
    if (event.type === 'speech.started') {
      const response_id = state.playing?.response_id ?? state.response?.response_id;
      const played_ms = response_id === undefined ? undefined : socket.heardMs(response_id);
      return played_ms === undefined ? event : { ...event, played_ms };
    }
    if (event.type === 'response.completed' && socket.plays(event.response_id)) {
      return { ...event, playback_reported: true };
    }
    return event;
  }

  async #answered(call: Call, sdp: string, signal: AbortSignal): Promise<string> {
    const { peer } = call;
    const aborted = (): void => peer.close();
    signal.addEventListener('abort', aborted, { once: true });
    try {
      // Listeners first: media may be there before the answer is with the client.
      peer.onChannel((channel) => {
        if (call.socket || this.#closed) channel.close();
        else this.#attach(call, channel);
      });
      const answer = await peer.answer(sdp);
      if (signal.aborted || this.#closed) throw new ParleyError('cancelled', 'nobody waits for this call any more');
      if (this.#coming) this.#drop(this.#coming, 'replaced');
      this.#coming = call;
      peer.onEnd((end) => this.#ended(call, end));
      return answer;
    } finally {
      signal.removeEventListener('abort', aborted);
    }
  }

  #attach(call: Call, channel: MediaChannel): void {
    const { client, record, log, listens, truncate, now } = this.#options;
    const { connection_id, peer, wantsEvents } = call;
    const socket = new BridgeSocket(connection_id, {
      peer,
      channel,
      listens,
      interrupts: () => {
        const detection = log.state.declaration?.turn_detection;
        return !!detection && detection.interrupt_response !== false;
      },
      truncate,
      played: (response_id) => record({ type: 'response.played', response_id }),
    });
    call.socket = socket;
    if (this.#coming === call) this.#coming = null;
    const before = this.#current;
    if (before) {
      before.reason = 'replaced';
      this.#over(before);
    }
    this.#current = call;
    record({ type: 'media.connected', connection_id, connect_ms: now() - call.offered_at_ms });
    socket.onClose(() => {
      if (this.#current === call) this.#over(call);
    });
    client.attach(socket, { wantsEvents, takes: (frame) => socket.takes(frame) });
  }

  /** Before the client is told to be gone, so that the log says why. */
  #over(call: Call, end?: MediaEnd): void {
    if (this.#current === call) this.#current = null;
    const { record } = this.#options;
    const error = end?.kind === 'failed' ? { error: end.error.toObject() } : {};
    record({ type: 'call.ended', connection_id: call.connection_id, reason: call.reason ?? 'lost', ...error });
  }

  #ended(call: Call, end: MediaEnd): void {
    if (this.#current === call) {
      this.#over(call, end);
      return;
    }
    if (this.#coming !== call) return;
    this.#coming = null;
    const error =
      end.kind === 'failed'
        ? end.error
        : new ParleyError(
            'cancelled',
            `the peer connection was closed by ${end.by === 'us' ? 'this server' : 'the client'}`,
          );
    this.#options.record({ type: 'call.failed', connection_id: call.connection_id, error: error.toObject() });
  }

  #drop(call: Call, reason: string): void {
    call.reason = reason;
    if (this.#coming === call) {
      this.#coming = null;
      const replaced = new ParleyError('aborted', `the call was given up: ${reason}`, { retryable: false });
      this.#options.record({ type: 'call.failed', connection_id: call.connection_id, error: replaced.toObject() });
    }
    call.peer.close();
  }
}
