// The WebRTC calls of a session whose media the provider terminates: at most one at a time, and a newer one takes over
// from an older. The server creates each with the client's offer, attaches to it, and hangs it up.
//
// P1  A call that was created and is not the session's is hung up: replaced, too late, or without a sideband.
// P2  What is heard of a call is heard over its sideband, so without one no tool runs.

import { closeCodeOf, type ErrorObject, ParleyError, randomSuffix } from '@parley/core';
import type { ModelCall, ModelClosed, RealtimeModel } from '@parley/providers';
import type { Logger } from '../telemetry/logger.ts';
import type { CallPort, CallStatus } from './call-port.ts';
import type { SessionLog } from './log.ts';
import type { ProviderPort } from './provider-port.ts';

export interface NativeCallsOptions {
  session_id: string;
  model: RealtimeModel;
  provider: ProviderPort;
  log: SessionLog;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
  /** The sideband of a call is there: its session can be spoken to. */
  connected: (call: ModelCall) => void;
  /** A hang-up that goes on after its session ended. */
  pending: (hangUp: Promise<unknown>) => void;
  logger: Logger;
  sideband_ms: number;
}

interface Current {
  connection_id: string;
  call: ModelCall;
  status: 'connecting' | 'connected';
}

/** An answer waits this long for the sideband: long enough for most, and no longer than a caller bears. */
const SIDEBAND_WAIT_MS = 2000;

export class NativeCalls implements CallPort {
  readonly #options: NativeCallsOptions;
  #offering: AbortController | null = null;
  #current: Current | null = null;
  #closed = false;

  constructor(options: NativeCallsOptions) {
    this.#options = options;
  }

  get status(): CallStatus {
    const current = this.#current;
    if (!current) return { status: this.#offering ? 'connecting' : 'none' };
    const { connection_id, status, call } = current;
    return { status, connection_id, provider_call_id: call.call_id };
  }

  async offer(sdp: string, signal: AbortSignal): Promise<string> {
    const { log, model, provider, record, sideband_ms } = this.#options;
    if (!model.call) {
      throw new ParleyError('failed_precondition', `provider '${model.provider}' terminates no WebRTC calls`);
    }
    // A page that was loaded again offers again, and does not wait for its former self.
    this.#offering?.abort();
    const offering = new AbortController();
    this.#offering = offering;
    const connection_id = `conn_${randomSuffix()}`;
    let taken = false;
    try {
      await log.append({ type: 'call.offered', connection_id, media: 'native' });
      const call = await model.call(
        { ...provider.options(log.state, AbortSignal.any([signal, offering.signal])), sideband_ms },
        sdp,
      );
      this.#checkWanted(call, signal, offering);
      this.#take(connection_id, call);
      taken = true;
      await this.#sideband(call);
      return call.answer_sdp;
    } catch (caught) {
      const error = offering.signal.aborted
        ? new ParleyError('aborted', 'a newer offer took over', { retryable: false })
        : ParleyError.from(caught, 'unavailable');
      // The end of a call that was there is told where it ends.
      if (!taken) record({ type: 'call.failed', connection_id, error: error.toObject() });
      throw error;
    } finally {
      if (this.#offering === offering) this.#offering = null;
    }
  }

  /** Its media are played at the provider, which tells what was heard. */
  told<T>(event: T): T {
    return event;
  }

  hangUp(reason: string): void {
    this.#offering?.abort();
    this.#end(reason, { code: 1000, reason });
  }

  close(reason: string): void {
    this.#closed = true;
    this.#offering?.abort();
    const current = this.#current;
    this.#current = null;
    if (current) this.#hangUp(current.call, reason);
  }

  #checkWanted(call: ModelCall, signal: AbortSignal, offering: AbortController): void {
    if (!this.#closed && !signal.aborted && !offering.signal.aborted) return;
    this.#hangUp(call, 'unwanted');
    throw new ParleyError('cancelled', 'nobody waits for this call any more');
  }

  #take(connection_id: string, call: ModelCall): void {
    const { provider, record } = this.#options;
    const replaced = new ParleyError('aborted', 'another call took over', { retryable: false });
    this.#end('replaced', { code: replaced.closeCode, reason: replaced.message });
    const current: Current = { connection_id, call, status: 'connecting' };
    this.#current = current;
    provider.adopt(call.connection);
    record({ type: 'call.created', connection_id, media: 'native', provider_call_id: call.call_id });
    record({ type: 'client.attached', connection_id });
    call.onRejected((error) => record({ type: 'client.rejected', connection_id, error }));
    call.attached.then(
      () => {
        if (this.#current !== current) return;
        current.status = 'connected';
        this.#options.connected(call);
      },
      (caught: unknown) => this.#failed(current, ParleyError.from(caught, 'unavailable')),
    );
    void call.connection.closed.then((closed) => this.#over(current, closed));
  }

  /** Most sidebands are there before anybody notices; a provider that wants the media first is not waited for. */
  async #sideband(call: ModelCall): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SIDEBAND_WAIT_MS);
    });
    try {
      await Promise.race([call.attached, enough]);
    } finally {
      clearTimeout(timer);
    }
  }

  #failed(current: Current, error: ParleyError): void {
    if (this.#current !== current) return;
    this.#options.logger.warn(
      { session_id: this.#options.session_id, code: error.code },
      'the sideband of a call could not be had; it is hung up',
    );
    this.#end('no_sideband', { code: error.closeCode, reason: error.message, error: error.toObject() });
  }

  #over(current: Current, { reason, error }: ModelClosed): void {
    if (this.#current !== current) return;
    const lost = error === undefined ? 'lost' : 'sideband_lost';
    const code = error === undefined ? 1006 : closeCodeOf(error.code, error.retryable);
    this.#end(lost, { code, reason, ...(error === undefined ? {} : { error }) });
  }

  #end(reason: string, close: { code: number; reason: string; error?: ErrorObject }): void {
    const current = this.#current;
    if (!current) return;
    this.#current = null;
    const { connection_id, call } = current;
    this.#hangUp(call, reason);
    const { record } = this.#options;
    const error = close.error === undefined ? {} : { error: close.error };
    record({ type: 'call.ended', connection_id, reason, ...error });
    record({ type: 'client.detached', connection_id, code: close.code, reason: close.reason });
  }

  #hangUp(call: ModelCall, reason: string): void {
    const { pending, logger, session_id } = this.#options;
    pending(
      call.hangUp(reason).catch((caught: unknown) => {
        const { code } = ParleyError.from(caught, 'unavailable');
        logger.warn({ session_id, code }, 'the provider could not be told that a call is over');
      }),
    );
  }
}
