// How long to wait before the next try: full jitter under a ceiling that doubles.

import { ParleyError, TIMES } from '@parley/core';

export interface BackoffOptions {
  /** Ceiling of the first wait, in milliseconds. Default 250. */
  minMs?: number | undefined;
  /** Ceiling of every wait, in milliseconds. Default 30,000. */
  maxMs?: number | undefined;
  /** A connection must have lived this long to begin again at `minMs`. Default 5,000. */
  resetMs?: number | undefined;
  /** A number in [0, 1). Default Math.random. */
  random?: (() => number) | undefined;
}

/**
 * Full-jitter exponential backoff.
 *
 * @example
 * const backoff = new Backoff();
 * await sleep(backoff.next()); // 0 to 250 ms; then 0 to 500, 0 to 1000, … 0 to 30,000
 * backoff.lived(6_000); // it was stable: begin at 250 again
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #resetMs: number;
  readonly #random: () => number;
  #ceilingMs: number;

  constructor(options: BackoffOptions = {}) {
    this.#minMs = options.minMs ?? TIMES.backoff_min_ms;
    this.#maxMs = options.maxMs ?? TIMES.backoff_max_ms;
    this.#resetMs = options.resetMs ?? TIMES.backoff_reset_ms;
    this.#random = options.random ?? Math.random;
    if (!(this.#minMs > 0 && this.#maxMs >= this.#minMs)) {
      throw new ParleyError(
        'invalid_argument',
        `backoff needs 0 < minMs <= maxMs, got ${this.#minMs} and ${this.#maxMs}`,
      );
    }
    this.#ceilingMs = this.#minMs;
  }

  /** Milliseconds to wait before the next try; at least `floorMs`, which a peer may have asked for. */
  next(floorMs = 0): number {
    const delay = this.#random() * this.#ceilingMs;
    this.#ceilingMs = Math.min(this.#maxMs, this.#ceilingMs * 2);
    return Math.max(delay, floorMs);
  }

  /** A connection ended after `uptimeMs`. */
  lived(uptimeMs: number): void {
    // Only a connection that lived earns a reset: a peer that accepts and drops would be redialled forever.
    if (uptimeMs >= this.#resetMs) this.#ceilingMs = this.#minMs;
  }
}
