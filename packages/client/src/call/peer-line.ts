// A call over WebRTC: one peer connection, its audio, and the data channel for events.

import { type IceServer, ParleyError } from '@parley/core';
import { FrameLine, type RealtimeFrame, type SocketEnd } from '../frame-line.ts';
import { type CallProblem, callError } from './problems.ts';
import { type CallQuality, QualityMeter } from './quality.ts';

/** The channel for events, as every realtime provider names it. The page makes it. */
const CHANNEL = 'oai-events';

export interface PeerOptions {
  /** STUN and TURN. Default: what the control plane names. */
  iceServers?: readonly (RTCIceServer | IceServer)[] | undefined;
  /** `relay`: the audio goes through TURN and never straight. Default `all`. */
  iceTransportPolicy?: RTCIceTransportPolicy | undefined;
  /** How long the way for the audio may be looked for, from the answer on, in milliseconds. Default 15 000. */
  connectTimeoutMs?: number | undefined;
  /** How long the data channel may take to open once the audio is connected, in milliseconds. Default 5000. */
  channelTimeoutMs?: number | undefined;
  /** With STUN or TURN, how long addresses are gathered before the offer goes, in milliseconds. Default 2000. */
  gatherTimeoutMs?: number | undefined;
  /** A connection without a sign of life for so long is given up for a new one, in milliseconds. Default 3000. */
  silenceTimeoutMs?: number | undefined;
  /** Events that cannot leave are refused past so many bytes. Default 1 MiB. */
  sendBufferBytesMax?: number | undefined;
}

export interface PeerParts extends PeerOptions {
  /** Sends the offer and brings the answer. */
  offer: (sdp: string, signal: AbortSignal) => Promise<string>;
  /** Joins the microphone; without one this side is silent. The signal ends with the connection. */
  send?: ((sender: RTCRtpSender, signal: AbortSignal) => void) | undefined;
  /** Hears the far end; without one nobody does. */
  play?: ((stream: MediaStream) => void) | undefined;
  signal?: AbortSignal | undefined;
}

const LIMITS = {
  connectTimeoutMs: 15_000,
  channelTimeoutMs: 5000,
  gatherTimeoutMs: 2000,
  silenceTimeoutMs: 3000,
  sendBufferBytesMax: 1024 * 1024,
};

export class PeerLine extends FrameLine {
  readonly path = 'webrtc';
  readonly #connection: RTCPeerConnection;
  readonly #channel: RTCDataChannel;
  readonly #parts: PeerParts;
  readonly #quality: QualityMeter;
  /** Ends with the connection. */
  readonly #over = new AbortController();
  #silence: ReturnType<typeof setTimeout> | undefined;
  #wasOpen = false;

  private constructor(connection: RTCPeerConnection, parts: PeerParts) {
    super();
    this.#connection = connection;
    this.#parts = parts;
    this.#quality = new QualityMeter(connection);
    this.#channel = connection.createDataChannel(CHANNEL);
    const { signal } = this.#over;
    this.#channel.addEventListener('message', ({ data }) => this.receive(data), { signal });
    this.#channel.addEventListener('close', () => this.#hungUp(), { signal });
    this.#channel.addEventListener('open', () => (this.#wasOpen = true), { signal });
    connection.addEventListener('track', ({ track }) => parts.play?.(new MediaStream([track])), { signal });
    connection.addEventListener('connectionstatechange', () => this.#changed(), { signal });
  }

  /**
   * Connects: offer, answer, a way for the audio, the channel.
   *
   * @throws ParleyError the server's refusal of the offer, or `ice_failed`, `dtls_failed`, `channel_failed` as its
   * `details.problem`.
   */
  static async open(parts: PeerParts): Promise<PeerLine> {
    if (typeof RTCPeerConnection === 'undefined') {
      throw callError(
        'webrtc_missing',
        'failed_precondition',
        'the session is declared with the transport webrtc, and there is no WebRTC here; declare one with the ' +
          'transport websocket for such clients',
      );
    }
    if (parts.iceTransportPolicy === 'relay' && !(parts.iceServers ?? []).some(relays)) {
      throw callError(
        'ice_failed',
        'failed_precondition',
        "the audio may go through TURN only (iceTransportPolicy 'relay'), and no TURN server is named",
      );
    }
    const connection = new RTCPeerConnection({
      bundlePolicy: 'max-bundle',
      // A field that is not there is not there: JSON has no undefined.
      iceServers: (parts.iceServers ?? []) as RTCIceServer[],
      iceTransportPolicy: parts.iceTransportPolicy ?? 'all',
    });
    const line = new PeerLine(connection, parts);
    const stop = (): void => line.#finish({ code: 1000, reason: 'aborted', error: reasonOf(parts.signal) });
    parts.signal?.addEventListener('abort', stop, { once: true, signal: line.#over.signal });
    try {
      if (parts.signal?.aborted) stop();
      await Promise.race([line.#connect(), line.closed.then(({ error }) => Promise.reject(error ?? gone()))]);
      return line;
    } catch (thrown) {
      line.close();
      throw thrown;
    }
  }

  send(frame: RealtimeFrame): void {
    if (this.#channel.readyState !== 'open') {
      throw new ParleyError('failed_precondition', `the data channel is closed; ${frame.type} was not sent`);
    }
    const text = JSON.stringify(frame);
    const bufferMax = this.#parts.sendBufferBytesMax ?? LIMITS.sendBufferBytesMax;
    const messageMax = this.#connection.sctp?.maxMessageSize ?? Number.POSITIVE_INFINITY;
    // A character takes three bytes at most; only what may be too long is measured.
    if (text.length * 3 > messageMax && new TextEncoder().encode(text).length > messageMax) {
      throw new ParleyError('out_of_range', `${frame.type} is longer than the ${messageMax} bytes of a message`);
    }
    if (this.#channel.bufferedAmount > bufferMax) {
      throw new ParleyError(
        'resource_exhausted',
        `over ${bufferMax} bytes wait to be sent; ${frame.type} was not sent`,
      );
    }
    this.#channel.send(text);
  }

  /** How well it carries the audio. */
  quality(): Promise<CallQuality> {
    return this.#quality.read();
  }

  close(code = 1000, reason = ''): void {
    this.#finish({ code, reason, error: code === 1000 ? null : new ParleyError('internal', reason) });
  }

  async #connect(): Promise<void> {
    const connection = this.#connection;
    const { sender } = connection.addTransceiver('audio', { direction: 'sendrecv' });
    this.#parts.send?.(sender, this.#over.signal);
    await connection.setLocalDescription();
    if ((this.#parts.iceServers ?? []).length > 0) await this.#gathered();
    const answer = await this.#parts.offer(connection.localDescription?.sdp ?? '', this.#over.signal);
    try {
      await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    } catch (cause) {
      throw new ParleyError('internal', 'the browser does not take the answer of the control plane', { cause });
    }
    await this.#connected();
    await this.#opened();
  }

  // The offer goes without addresses where the far end can be reached: it learns ours with the first packet. Behind STUN
  // or TURN it has to know them before.
  #gathered(): Promise<void> {
    const connection = this.#connection;
    return this.#until(
      connection,
      'icegatheringstatechange',
      () => connection.iceGatheringState === 'complete',
      this.#parts.gatherTimeoutMs ?? LIMITS.gatherTimeoutMs,
      // What was gathered until now has to do.
      () => null,
    );
  }

  #connected(): Promise<void> {
    const connection = this.#connection;
    const timeoutMs = this.#parts.connectTimeoutMs ?? LIMITS.connectTimeoutMs;
    return this.#until(
      connection,
      'connectionstatechange',
      () => connection.connectionState === 'connected',
      timeoutMs,
      () => this.#failure(`within ${timeoutMs} ms`),
    );
  }

  #opened(): Promise<void> {
    const channel = this.#channel;
    const timeoutMs = this.#parts.channelTimeoutMs ?? LIMITS.channelTimeoutMs;
    return this.#until(
      channel,
      'open',
      () => channel.readyState === 'open',
      timeoutMs,
      () =>
        problem('channel_failed', 'deadline_exceeded', `the data channel ${CHANNEL} did not open in ${timeoutMs} ms`),
    );
  }

  /** Resolves when it is so. After the time: rejects with what `late` makes, or resolves when it makes nothing. */
  #until(
    target: EventTarget,
    event: string,
    so: () => boolean,
    timeoutMs: number,
    late: () => ParleyError | null,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (so()) return resolve();
      const off = new AbortController();
      const settle = (error: ParleyError | null): void => {
        off.abort();
        clearTimeout(timer);
        if (error) reject(error);
        else resolve();
      };
      const timer = setTimeout(() => settle(late()), timeoutMs);
      const signal = AbortSignal.any([off.signal, this.#over.signal]);
      target.addEventListener(event, () => so() && settle(null), { signal });
      this.#over.signal.addEventListener('abort', () => clearTimeout(timer), { signal: off.signal });
    });
  }

  #failure(when: string): ParleyError {
    const { iceConnectionState: ice } = this.#connection;
    return ice === 'connected' || ice === 'completed'
      ? problem('dtls_failed', 'unavailable', `the two ends of the call did not agree on a secret ${when}`)
      : problem(
          'ice_failed',
          'unavailable',
          `no way for the audio to the control plane was found ${when}; a firewall may need a TURN server`,
        );
  }

  #changed(): void {
    clearTimeout(this.#silence);
    const state = this.#connection.connectionState;
    if (state === 'failed') {
      const error = this.#wasOpen ? lost('the audio broke off') : this.#failure('at all');
      this.#finish({ code: 1006, reason: error.message, error });
    } else if (state === 'disconnected') {
      const silenceMs = this.#parts.silenceTimeoutMs ?? LIMITS.silenceTimeoutMs;
      this.#silence = setTimeout(() => this.#lost('the far end fell silent'), silenceMs);
    }
  }

  #hungUp(): void {
    if (this.#wasOpen) return this.#lost('the far end closed the call');
    const error = problem('channel_failed', 'unavailable', `the far end refused the data channel ${CHANNEL}`);
    this.#finish({ code: 1006, reason: error.message, error });
  }

  #lost(why: string): void {
    const error = lost(why);
    this.#finish({ code: 1006, reason: error.message, error });
  }

  #finish(end: SocketEnd): void {
    if (this.#over.signal.aborted) return;
    clearTimeout(this.#silence);
    this.#over.abort();
    this.#channel.close();
    this.#connection.close();
    this.end(end);
  }
}

function relays({ urls }: RTCIceServer | IceServer): boolean {
  return [urls].flat().some((url) => /^turns?:/i.test(url));
}

function problem(name: CallProblem, code: 'deadline_exceeded' | 'unavailable', message: string): ParleyError {
  return callError(name, code, message, { details: { boundary: 'page -> parley' } });
}

function lost(why: string): ParleyError {
  return problem('connection_lost', 'unavailable', why);
}

function gone(): ParleyError {
  return lost('the call was closed before it was connected');
}

function reasonOf(signal: AbortSignal | undefined): ParleyError {
  return ParleyError.from(signal?.reason, 'cancelled');
}
