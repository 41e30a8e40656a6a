// Time as a value that is handed in, so that a test can be its own clock.

export interface Clock {
  /** Milliseconds; only differences mean something. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds, unless it was cancelled before. */
  after(ms: number, run: () => void): { cancel(): void };
}

/** The machine's monotonic clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * A clock that a test moves by hand.
 *
 * @example
 * const clock = new ManualClock();
 * clock.after(100, () => console.log('now'));
 * clock.advance(100);
 */
export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Milliseconds until each timer that is set, the next one first. */
  get waiting(): number[] {
    return [...this.#timers].map((timer) => timer.at - this.#now).sort((a, b) => a - b);
  }

  /** Moves on, and runs what falls due on the way, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }
}
