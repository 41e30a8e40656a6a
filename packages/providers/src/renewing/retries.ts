// How often, how soon and how long another connection is tried for after one was cut.

import { Backoff, type Clock } from '@parley/transport';

export interface ReconnectSettings {
  /** Tries after a cut, and over cuts that follow each other closely. Default 6. */
  attempts_max: number;
  /** No try begins later than this after a cut, in milliseconds. Default 20 s. */
  within_ms: number;
}

export const RECONNECT: ReconnectSettings = { attempts_max: 6, within_ms: 20_000 };

/** The ceiling of a wait: a caller hears nothing meanwhile. */
const WAIT_MAX_MS = 4_000;
/** A connection that lived this long was a good one: what was tried before it does not count. */
const LIVED_MS = 5_000;

export class Retries {
  /** Tries since the last connection that lived. */
  attempts = 0;
  readonly #settings: ReconnectSettings;
  readonly #clock: Clock;
  readonly #backoff = new Backoff({ maxMs: WAIT_MAX_MS, resetMs: LIVED_MS });
  #connected_ms = 0;
  #cut_ms = 0;
  #timer: { cancel(): void } | null = null;

  constructor(settings: ReconnectSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  connected(): void {
    this.#connected_ms = this.#clock.now();
  }

  /** The connection is gone. How long to wait before another one is tried; null where none is. */
  cut(): number | null {
    const now = this.#clock.now();
    const lived_ms = now - this.#connected_ms;
    this.#backoff.lived(lived_ms);
    if (lived_ms >= LIVED_MS) this.attempts = 0;
    this.#cut_ms = now;
    return this.next();
  }

  /** How long to wait before the next try, and no less than the provider asked for; null when it was tried enough. */
  next(retry_after_ms = 0): number | null {
    const { attempts_max, within_ms } = this.#settings;
    const wait_ms = this.#backoff.next(retry_after_ms);
    const late = this.#clock.now() + wait_ms - this.#cut_ms > within_ms;
    return this.attempts >= attempts_max || late ? null : wait_ms;
  }

  after(wait_ms: number, run: () => void): void {
    this.#timer = this.#clock.after(wait_ms, () => {
      this.attempts += 1;
      run();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
