// Who may start. A place is taken in the same turn in which the limits are looked at, so no two starts can take one.
//
// P1  Never more places than `sessionsMax`, and never more of one call than `perCallMax`.
// P2  Whoever waits is admitted in the order of coming; one whose call is full lets those behind it pass.

import { ParleyError } from '@parley/core';

export interface AdmissionLimits {
  sessionsMax: number;
  /** null: no limit of its own. */
  perCallMax: number | null;
  queueMax: number;
}

/** Which limit is met, and how far it is used. */
interface Full {
  reason: 'node_at_capacity' | 'call_limit';
  limit: number;
  current: number;
}

/** Whoever waits for a place. */
export interface Waiting {
  readonly callId: string;
  /** A place was taken for it. */
  admitted(): void;
}

const RETRY_AFTER_MS = 2_000;

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #ofCall = new Map<string, number>();
  readonly #queue = new Set<Waiting>();
  #taken = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#taken;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get limits(): AdmissionLimits {
    return this.#limits;
  }

  /** Takes a place. @throws ParleyError `resource_exhausted` with `limit`, `current` and `reason` in its details. */
  take(callId: string): void {
    const full = this.#full(callId);
    if (full) throw exhausted(full, callId);
    this.#hold(callId);
  }

  /** Takes a place now, or waits for one. Returns whether it was taken. @throws ParleyError when the queue is full. */
  takeOrWait(waiting: Waiting): boolean {
    const full = this.#full(waiting.callId);
    if (!full) {
      this.#hold(waiting.callId);
      return true;
    }
    const { queueMax } = this.#limits;
    if (this.#queue.size >= queueMax) {
      const details = { ...full, queue_limit: queueMax, queued: this.#queue.size };
      const message = `${this.#queue.size} starts wait for a place already`;
      throw new ParleyError('resource_exhausted', message, { retry_after_ms: RETRY_AFTER_MS, details });
    }
    this.#queue.add(waiting);
    return false;
  }

  /** Its place in the queue, from 1; null when it does not wait. */
  placeOf(waiting: Waiting): number | null {
    let place = 0;
    for (const one of this.#queue) {
      place += 1;
      if (one === waiting) return place;
    }
    return null;
  }

  /** Gives up waiting. Returns whether it waited. */
  leave(waiting: Waiting): boolean {
    return this.#queue.delete(waiting);
  }

  /** Gives a place back, and the next one that fits takes it. */
  release(callId: string): void {
    const left = (this.#ofCall.get(callId) ?? 1) - 1;
    if (left > 0) this.#ofCall.set(callId, left);
    else this.#ofCall.delete(callId);
    this.#taken -= 1;
    for (const waiting of this.#queue) {
      if (this.#taken >= this.#limits.sessionsMax) return;
      if (this.#full(waiting.callId)) continue;
      this.#queue.delete(waiting);
      this.#hold(waiting.callId);
      waiting.admitted();
    }
  }

  #hold(callId: string): void {
    this.#taken += 1;
    this.#ofCall.set(callId, (this.#ofCall.get(callId) ?? 0) + 1);
  }

  #full(callId: string): Full | null {
    const { sessionsMax, perCallMax } = this.#limits;
    const ofCall = this.#ofCall.get(callId) ?? 0;
    if (perCallMax !== null && ofCall >= perCallMax)
      return { reason: 'call_limit', limit: perCallMax, current: ofCall };
    if (this.#taken < sessionsMax) return null;
    return { reason: 'node_at_capacity', limit: sessionsMax, current: this.#taken };
  }
}

function exhausted(full: Full, callId: string): ParleyError {
  const message =
    full.reason === 'call_limit'
      ? `call ${callId} is at its limit of ${full.limit} sessions`
      : `this launcher is at its limit of ${full.limit} sessions`;
  return new ParleyError('resource_exhausted', message, { retry_after_ms: RETRY_AFTER_MS, details: { ...full } });
}
