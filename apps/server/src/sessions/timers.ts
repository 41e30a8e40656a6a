// Named timers of one session: setting one replaces the one of that name.

import type { Timer } from '@parley/core';

export class Timers {
  readonly #running = new Map<Timer, NodeJS.Timeout>();
  readonly #fire: (timer: Timer) => void;

  constructor(fire: (timer: Timer) => void) {
    this.#fire = fire;
  }

  set(timer: Timer, ms: number): void {
    const running = this.#running.get(timer);
    if (running !== undefined) clearTimeout(running);
    // Node fires a longer delay at once; sessions are not that long, but a declaration may say so.
    const timeout = setTimeout(
      () => {
        this.#running.delete(timer);
        this.#fire(timer);
      },
      Math.min(ms, 0x7fffffff),
    );
    timeout.unref();
    this.#running.set(timer, timeout);
  }

  clear(timer: Timer): void {
    const running = this.#running.get(timer);
    if (running === undefined) return;
    clearTimeout(running);
    this.#running.delete(timer);
  }

  clearAll(): void {
    for (const running of this.#running.values()) clearTimeout(running);
    this.#running.clear();
  }
}
