// What a connection to a call has besides a connection of its own: a sideband that may be cut and come back, and a client
// that can speak to the provider behind the server's back.

import { type ErrorObject, type ModelEvent, newId, ParleyError } from '@parley/core';
import type { Clock, FrameSocket } from '@parley/transport';
import { BOUNDARY } from './errors.ts';
import { ClientAnswers } from './client-answers.ts';
import { SessionGuard, type Verdict } from './guard.ts';
import { Sideband } from './sideband.ts';
import { encoded, textIn, type Wire } from './wire.ts';

export interface CallControlOptions {
  provider_call_id: string;
  /** The session that the call was created with. */
  session: Wire;
  dial: (signal: AbortSignal) => Promise<FrameSocket>;
  clock: Clock;
  sideband_ms: number;
}

export interface CallListener {
  emit: (event: ModelEvent) => void;
  /** The sideband is there, again perhaps: what happened meanwhile was not heard. */
  back: () => void;
}

export class CallControl {
  readonly provider_call_id: string;
  readonly sideband: Sideband;
  /** Resolves when the provider confirmed the session on the sideband for the first time. */
  readonly attached: Promise<void>;
  readonly #guard: SessionGuard;
  readonly #answers = new ClientAnswers();
  readonly #attached = Promise.withResolvers<void>();
  /** The `session.update` that goes out with each attaching. */
  #greeting: string | null = null;
  #listener: CallListener | null = null;
  #onRejected: (error: ErrorObject) => void = () => {};
  #confirmed = false;

  constructor({ provider_call_id, session, dial, clock, sideband_ms }: CallControlOptions) {
    this.provider_call_id = provider_call_id;
    this.#guard = new SessionGuard(session);
    this.attached = this.#attached.promise;
    // Whoever wants to know waits for it; nobody has to.
    this.attached.catch(() => undefined);
    this.sideband = new Sideband({
      dial,
      clock,
      within_ms: sideband_ms,
      attached: () => this.#greet(),
      lost: ({ code, reason }) => {
        this.#confirmed = false;
        this.#listener?.emit({ type: 'sideband.lost', provider_call_id, code, reason });
      },
    });
    this.sideband.onClose(({ reason }) => {
      this.#attached.reject(
        this.sideband.failure
          ? atBoundary(this.sideband.failure)
          : new ParleyError('unavailable', `the call ended before its sideband was there: ${reason}`, {
              details: { boundary: BOUNDARY },
            }),
      );
    });
  }

  listen(listener: CallListener): void {
    this.#listener = listener;
  }

  /** The one listener of what the client did in vain. */
  onRejected(listener: (error: ErrorObject) => void): void {
    this.#onRejected = listener;
  }

  /** A `session.update` of ours goes out. */
  asked(event_id: string, patch: Wire): void {
    this.#guard.asked(event_id, patch);
  }

  restoring(event_id: string): Wire {
    return this.#guard.restoring(event_id);
  }

  /** `session.created`: how the call is before anything was asked of it on this connection. */
  saw(session: Wire): void {
    this.#judged(this.#guard.saw(session));
  }

  /** `session.updated` */
  confirmed(session: Wire): void {
    const verdict = this.#guard.confirmed(session);
    if (!this.#confirmed) {
      this.#confirmed = true;
      this.sideband.confirmed();
      const { provider_call_id, sideband } = this;
      this.#listener?.emit({ type: 'sideband.attached', provider_call_id, attempt: sideband.attempt });
      this.#attached.resolve();
      this.#listener?.back();
    }
    this.#judged(verdict);
  }

  /** An update of ours was refused. True when that was the one of attaching, which is nobody else's business. */
  refused(event_id: string, error: ErrorObject): boolean {
    this.#guard.refused(event_id);
    if (event_id !== this.#greeting) return false;
    this.#attached.reject(ParleyError.from(error));
    this.sideband.terminate();
    return true;
  }

  /**
   * An item that another connection put into the conversation: what only the server may say is taken out again.
   * @param made whether the model made a call of this id.
   */
  foreignItem(item: Wire, made: (call_id: string) => boolean): void {
    const { type, role } = item;
    if (type === 'message' && role === 'user') this.#answers.heardUser();
    const forged =
      type === 'function_call_output' || (type === 'message' && (role === 'system' || role === 'developer'));
    const item_id = textIn(item, 'id');
    if (!forged || item_id === undefined) return;
    this.sideband.send(encoded({ type: 'conversation.item.delete', event_id: newId('event'), item_id }));
    const call_id = type === 'function_call_output' ? textIn(item, 'call_id') : undefined;
    if (call_id !== undefined && made(call_id) && this.#answers.took(call_id)) {
      const message = "tools run on the server: the client's answer to a call was taken out";
      this.#onRejected(new ParleyError('permission_denied', message, { details: { call_id } }).toObject());
    } else this.#listener?.emit({ type: 'session.tampered', fields: ['conversation'] });
  }

  /** A reply begins: one that stands on an answer of the client is stopped. */
  replying(response: Wire): void {
    const response_id = this.#answers.asked(response);
    if (response_id === undefined) return;
    this.sideband.send(encoded({ type: 'response.cancel', event_id: newId('event'), response_id }));
  }

  /** A reply is over. One that was complete before it could be stopped is heard: by now the next may be sounding. */
  replied(response: Wire): void {
    if (!this.#answers.cut(response)) return;
    this.sideband.send(encoded({ type: 'output_audio_buffer.clear', event_id: newId('event') }));
  }

  /** A `response.create` of ours goes out. */
  asking(): void {
    this.#answers.asking();
  }

  /** A turn of the user is complete. */
  heardUser(): void {
    this.#answers.heardUser();
  }

  #greet(): void {
    this.#guard.forget();
    this.#greeting = newId('event');
    const session = this.#guard.restoring(this.#greeting);
    this.sideband.send(encoded({ type: 'session.update', event_id: this.#greeting, session }));
  }

  #judged(verdict: Verdict): void {
    if (verdict.kind === 'tampered') this.#listener?.emit({ type: 'session.tampered', fields: verdict.fields });
    else if (verdict.kind === 'restored') this.#listener?.emit({ type: 'session.restored' });
  }
}

function atBoundary(error: ParleyError): ParleyError {
  return new ParleyError(error.code === 'not_found' ? 'unavailable' : error.code, error.message, {
    retryable: error.retryable,
    details: { ...error.details, boundary: BOUNDARY },
    cause: error,
  });
}
