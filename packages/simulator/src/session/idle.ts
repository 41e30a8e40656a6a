import type { Clock, ClockTimer } from '../clock.ts';

/** The idle timeout: from the moment when a reply was played to the end, until the user speaks. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #idle: (startMs: number) => void;
  #timer: ClockTimer | null = null;

  /** `idle` gets the point of the input-audio clock (ms) where waiting began. */
  constructor(clock: Clock, idle: (startMs: number) => void) {
    this.#clock = clock;
    this.#idle = idle;
  }

  /** Waits for `timeoutMs` after `playedAtMs` (Unix ms). */
  arm(playedAtMs: number, timeoutMs: number, inputClockMs: number): void {
    this.cancel();
    const wait = Math.max(0, playedAtMs - this.#clock.now()) + timeoutMs;
    this.#timer = this.#clock.after(wait, () => {
      this.#timer = null;
      this.#idle(inputClockMs);
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
