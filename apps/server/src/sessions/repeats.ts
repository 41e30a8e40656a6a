// Requests of a session that may be repeated under an `Idempotency-Key`, because an answer may be lost on its way. What
// has to outlive this process (starts, executions) is claimed on disk instead.
//
// P1  The same key and request again is the first one: while it runs it is waited for, then its result is given.
// P2  The same key and another request is refused.
// P3  What failed did not happen: its key may be used again.
// P4  The latest keys are kept, and no request that still runs is forgotten.

import { ParleyError } from '@parley/core';
import type { ClaimRow } from '../store/store.ts';

/** A request that may be repeated: whose it is and of what kind, its key, and what makes two requests the same. */
export type Claim = Pick<ClaimRow, 'scope' | 'key' | 'fingerprint'>;

interface Kept {
  fingerprint: string;
  result: Promise<unknown>;
  running: boolean;
}

export class Repeats {
  readonly #max: number;
  readonly #kept = new Map<string, Kept>();

  /** @param max keys that are kept, each with the result of its request: a small number where those are large. */
  constructor(max = 256) {
    this.#max = max;
  }

  get size(): number {
    return this.#kept.size;
  }

  /**
   * Runs a request once for each claim, and every time where there is no claim. One scope has one type of result.
   * @throws ParleyError `already_exists` (the key was used for another request), `resource_exhausted` (only requests
   * that still run could be forgotten), and what the first request failed with.
   */
  async once<T>(claim: Claim | undefined, run: () => Promise<T>): Promise<T> {
    if (!claim) return run();
    const id = JSON.stringify([claim.scope, claim.key]);
    const kept = this.#kept.get(id);
    if (kept && kept.fingerprint !== claim.fingerprint) {
      throw new ParleyError('already_exists', 'this Idempotency-Key was used for another request', {
        retryable: false,
      });
    }
    if (kept) return kept.result as Promise<T>;
    this.#makeRoom();
    const result = run();
    const mine: Kept = { fingerprint: claim.fingerprint, result, running: true };
    this.#kept.set(id, mine);
    result.then(
      () => (mine.running = false),
      () => this.#kept.delete(id),
    );
    return result;
  }

  #makeRoom(): void {
    if (this.#kept.size < this.#max) return;
    for (const [id, { running }] of this.#kept) {
      if (running) continue;
      this.#kept.delete(id);
      return;
    }
    throw new ParleyError('resource_exhausted', `${this.#max} requests with an Idempotency-Key are under way`, {
      retry_after_ms: 1000,
      details: { limit: this.#max, current: this.#kept.size },
    });
  }
}
