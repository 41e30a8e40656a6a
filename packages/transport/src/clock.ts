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
