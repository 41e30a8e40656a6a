// The timers that `step` asks for.

import type { PerformedEffect, Timer } from '@parley/core';
import type { Clock } from '@parley/transport';

export class Timers {
  readonly #clock: Clock;
  readonly #fired: (timer: Timer) => void;
  readonly #set = new Map<Timer, { cancel(): void }>();

  constructor(clock: Clock, fired: (timer: Timer) => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  perform(effect: Extract<PerformedEffect, { kind: 'timer.set' | 'timer.clear' }>): void {
    if (effect.kind === 'timer.set') this.set(effect.timer, effect.ms);
    else this.clear(effect.timer);
  }

  set(timer: Timer, ms: number): void {
    this.clear(timer);
    const running = this.#clock.after(ms, () => {
      this.#set.delete(timer);
      this.#fired(timer);
    });
    this.#set.set(timer, running);
  }

  clear(timer: Timer): void {
    const running = this.#set.get(timer);
    if (!running) return;
    running.cancel();
    this.#set.delete(timer);
  }

  stop(): void {
    for (const running of this.#set.values()) running.cancel();
    this.#set.clear();
  }
}
