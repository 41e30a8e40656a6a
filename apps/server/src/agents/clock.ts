// Time as a value that is handed in, so that a test can be its own clock.

export interface ServerClock {
  /** Monotonic milliseconds; only differences mean something. */
  now(): number;
  /** Milliseconds since 1970, for what is written down. */
  wall(): number;
  /** Calls `run` once after `ms` milliseconds, unless it was cancelled before. */
  after(ms: number, run: () => void): { cancel(): void };
}

/** The machine's clocks. Its timers do not keep the process alive. */
export const machineClock: ServerClock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
