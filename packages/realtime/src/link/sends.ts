// What was sent and what the provider said to it: a send resolves when it was taken up, and rejects when it was refused.

import { type ErrorObject, ParleyError } from '@parley/core';
import type { Clock } from '@parley/transport';

/** How the provider says that it took something up: by the item, or by the kind of frame. */
export type Ack = `item:${string}` | `deleted:${string}` | `truncated:${string}` | 'updated' | 'committed' | 'cleared';

interface Pending {
  eventId: string;
  ack: Ack;
  promise: PromiseWithResolvers<void>;
  timer: { cancel(): void };
}

export class Sends {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #timeoutMs: number;
  readonly #byEvent = new Map<string, Pending>();
  readonly #byAck = new Map<Ack, Pending[]>();

  constructor(clock: Clock, max: number, timeoutMs: number) {
    this.#clock = clock;
    this.#max = max;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Waits for the word on one frame. Whoever does not await the promise is not hurt by its rejection.
   * @throws ParleyError `resource_exhausted` when too many wait.
   */
  expect(eventId: string, ack: Ack): Promise<void> {
    if (this.#byEvent.size >= this.#max) {
      throw new ParleyError('resource_exhausted', `${this.#max} sends already wait for the provider`, {
        details: { limit: 'sendsInFlight', value: this.#max },
      });
    }
    const promise = Promise.withResolvers<void>();
    promise.promise.catch(() => {
      // Told to whoever awaits it, and as an `error` event by the session.
    });
    const timer = this.#clock.after(this.#timeoutMs, () => {
      this.#remove(pending);
      const message = `the provider said nothing to this within ${this.#timeoutMs} ms`;
      promise.reject(new ParleyError('deadline_exceeded', message, { details: { boundary: 'session -> provider' } }));
    });
    const pending: Pending = { eventId, ack, promise, timer };
    this.#byEvent.set(eventId, pending);
    const same = this.#byAck.get(ack);
    if (same) same.push(pending);
    else this.#byAck.set(ack, [pending]);
    return promise.promise;
  }

  /** Whether anybody waits. */
  get waiting(): boolean {
    return this.#byEvent.size > 0;
  }

  /** The provider took up the oldest frame of this kind. */
  taken(ack: Ack): boolean {
    const pending = this.#byAck.get(ack)?.[0];
    if (!pending) return false;
    this.#remove(pending);
    pending.promise.resolve();
    return true;
  }

  /** The provider refused a frame. False when nobody waits for it. */
  refused(eventId: string, error: ErrorObject): boolean {
    const pending = this.#byEvent.get(eventId);
    if (!pending) return false;
    this.#remove(pending);
    pending.promise.reject(ParleyError.from(error));
    return true;
  }

  /** The connection is gone, and with it all answers. `keep` says which frames are sent again. */
  lost(error: ParleyError, keep: (ack: Ack) => boolean = () => false): void {
    for (const pending of [...this.#byEvent.values()]) {
      if (keep(pending.ack)) continue;
      this.#remove(pending);
      pending.promise.reject(error);
    }
  }

  #remove(pending: Pending): void {
    pending.timer.cancel();
    this.#byEvent.delete(pending.eventId);
    const same = this.#byAck.get(pending.ack);
    if (!same) return;
    same.splice(same.indexOf(pending), 1);
    if (same.length === 0) this.#byAck.delete(pending.ack);
  }
}
