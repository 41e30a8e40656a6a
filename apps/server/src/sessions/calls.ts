// The WebRTC calls of a session, where its transport has them. The provider of a native one knows nothing of those
// before it, and is told what was said in them.

import {
  type ClientEventName,
  type EventRecord,
  type ModelCommand,
  type ModelEvent,
  ParleyError,
  type SessionResource,
  type SessionState,
} from '@parley/core';
import { History, type ModelCall, type RealtimeModel } from '@parley/providers';
import type { Logger } from '../telemetry/logger.ts';
import { BridgeCalls } from './bridge/bridge-calls.ts';
import type { Bridges } from './bridge/bridges.ts';
import type { CallPort, CallStatus } from './call-port.ts';
import type { ClientPort } from './client-port.ts';
import type { SessionLog } from './log.ts';
import { NativeCalls } from './native-calls.ts';
import type { ProviderPort } from './provider-port.ts';

export interface CallsOptions {
  session: SessionResource;
  allowed: readonly ClientEventName[];
  model: RealtimeModel;
  provider: ProviderPort;
  client: ClientPort;
  log: SessionLog;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
  /** The provider of a native call can be spoken to. */
  live: (provider_session_id: string | undefined) => void;
  /** A hang-up that goes on after its session ended. */
  pending: (hangUp: Promise<unknown>) => void;
  bridges: Bridges;
  sideband_ms: number;
  logger: Logger;
  now: () => number;
}

export class Calls {
  readonly #options: CallsOptions;
  /** Null where the transport is no WebRTC. */
  readonly #port: CallPort | null;
  /** What the next native call has to be told; null where the provider's connection outlives the calls. */
  readonly #history: History | null;

  constructor(options: CallsOptions) {
    this.#options = options;
    const { transport, media } = options.session;
    const native = transport === 'webrtc' && media !== 'bridge';
    this.#history = native ? new History() : null;
    this.#port = transport !== 'webrtc' ? null : native ? this.#native() : this.#bridge();
  }

  /** Answers a client's WebRTC offer. @throws ParleyError `failed_precondition`, and what `CallPort.offer` throws. */
  async offer(sdp: string, signal: AbortSignal, wantsEvents: boolean): Promise<string> {
    this.#options.log.checkOpen();
    return this.#required().offer(sdp, signal, wantsEvents);
  }

  /** How the call is. @throws ParleyError `failed_precondition` where the transport has none. */
  get status(): CallStatus {
    return this.#required().status;
  }

  /** The client hung up. @throws ParleyError `failed_precondition` where the transport has no calls. */
  hangUp(): void {
    this.#required().hangUp('hung_up');
  }

  /** An event of the model, with what whoever plays its answers knows better. */
  told(event: ModelEvent, state: SessionState): ModelEvent {
    return this.#port?.told(event, state) ?? event;
  }

  /** An entry of the log. */
  event(record: EventRecord): void {
    this.#history?.event(record);
  }

  /** A command on its way to the provider. */
  command(command: ModelCommand): void {
    this.#history?.command(command);
  }

  close(reason: string): void {
    this.#port?.close(reason);
  }

  #required(): CallPort {
    if (this.#port) return this.#port;
    const { session_id, transport } = this.#options.session;
    throw new ParleyError('failed_precondition', `session ${session_id} has transport '${transport}', not 'webrtc'`, {
      details: { transport },
    });
  }

  #bridge(): CallPort {
    const { bridges, client, log, record, allowed, provider, now } = this.#options;
    return new BridgeCalls({
      bridges,
      client,
      log,
      record,
      listens: allowed.includes('audio'),
      truncate: (item_id, audio_ms) => provider.send({ type: 'truncate', item_id, audio_ms }),
      now,
    });
  }

  #native(): CallPort {
    const { session, model, provider, log, record, pending, logger, sideband_ms } = this.#options;
    const { session_id } = session;
    const connected = (call: ModelCall): void => this.#connected(call);
    return new NativeCalls({ session_id, model, provider, log, record, connected, pending, logger, sideband_ms });
  }

  #connected({ connection }: ModelCall): void {
    for (const one of this.#history?.replay() ?? []) connection.send(one);
    this.#options.live(connection.provider_session_id);
  }
}
