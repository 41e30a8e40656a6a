/** A pending timer of a `Clock`. */
export interface ClockTimer {
  cancel(): void;
}

/** Time as the simulator sees it: idle timeouts, expiry and pacing all go through it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls once, `ms` milliseconds from now. */
  after(ms: number, call: () => void): ClockTimer;
}

/** The machine's own time. Its timers do not keep a process alive. */
export const REAL_CLOCK: Clock = {
  now: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/**
 * A clock that stands still until it is told to move.
 *
 * @example
 * const clock = new VirtualClock();
 * const simulator = await startSimulator({ clock, pace: Infinity });
 * clock.advance(60 * 60_000); // every session expires
 */
export class VirtualClock implements Clock {
  #now: number;
  #timers: { at: number; call: () => void }[] = [];

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): ClockTimer {
    const timer = { at: this.#now + Math.max(0, ms), call };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  /** Moves time on and calls what falls due, in order; what those calls set is called too when it falls due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.call();
    }
    this.#now = end;
  }
}
