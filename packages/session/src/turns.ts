// What the user said, turn by turn, and who waits for it.

import { type EventOf, ParleyError } from '@parley/core';

/** One turn of the user. */
export class Turn {
  readonly id: string;
  /** What was said; empty when no transcript could be had. */
  readonly text: string;
  readonly source: 'audio' | 'text';
  /** Length of the user's audio in milliseconds, where the provider tells it. */
  readonly audioMs: number | undefined;
  readonly #interruption = new AbortController();

  constructor(event: Pick<EventOf<'turn.completed'>, 'turn_id' | 'text' | 'source' | 'audio_ms'>) {
    this.id = event.turn_id;
    this.text = event.text;
    this.source = event.source;
    this.audioMs = event.audio_ms;
  }

  /** Aborted when the user speaks over the answer to this turn, or when the session ends. */
  get signal(): AbortSignal {
    return this.#interruption.signal;
  }

  /** Aborts `signal`. The session calls this when the user interrupts; a handler may, to drop its own work. */
  interrupt(reason: ParleyError = new ParleyError('cancelled', 'the user interrupted')): void {
    if (!this.signal.aborted) this.#interruption.abort(reason);
  }

  /** As it goes into the input of a function. */
  toJSON(): { turn_id: string; text: string; source: string; audio_ms?: number } {
    return {
      turn_id: this.id,
      text: this.text,
      source: this.source,
      ...(this.audioMs === undefined ? {} : { audio_ms: this.audioMs }),
    };
  }
}

interface Waiter {
  resolve: (turn: Turn) => void;
  reject: (error: ParleyError) => void;
}

/**
 * Turns on their way to the handler, at most `max`. When the handler does not keep up, the oldest goes: in a
 * conversation the last thing said counts.
 */
export class TurnQueue {
  readonly #max: number;
  readonly #turns: Turn[] = [];
  readonly #waiters = new Set<Waiter>();
  #answering: Turn | null = null;
  #ended: ParleyError | null = null;

  constructor(max: number) {
    this.#max = max;
  }

  /** Adds a turn. Returns the one that had to go, or null. */
  push(turn: Turn): Turn | null {
    if (this.#ended) return null;
    const [waiter] = this.#waiters;
    if (waiter) {
      this.#waiters.delete(waiter);
      this.#answering = turn;
      waiter.resolve(turn);
      return null;
    }
    this.#turns.push(turn);
    const dropped = this.#turns.length > this.#max ? (this.#turns.shift() ?? null) : null;
    dropped?.interrupt(new ParleyError('resource_exhausted', `more than ${this.#max} turns waited for the handler`));
    return dropped;
  }

  /** The next turn; the turn before it counts as answered. Rejects when the session or `signal` ends. */
  next(signal?: AbortSignal): Promise<Turn> {
    if (this.#ended) return Promise.reject(this.#ended);
    if (signal?.aborted) return Promise.reject(ParleyError.from(signal.reason, 'cancelled'));
    this.#answering = this.#turns.shift() ?? null;
    if (this.#answering) return Promise.resolve(this.#answering);
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        this.#waiters.delete(waiter);
        reject(ParleyError.from(signal?.reason, 'cancelled'));
      };
      const waiter: Waiter = {
        resolve: (turn) => {
          signal?.removeEventListener('abort', abandon);
          resolve(turn);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', abandon);
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', abandon, { once: true });
    });
  }

  /** The user spoke over the answer: the turn that is being answered is cancelled. */
  interrupt(): void {
    this.#answering?.interrupt();
  }

  end(error: ParleyError): void {
    if (this.#ended) return;
    this.#ended = error;
    for (const turn of [this.#answering, ...this.#turns]) turn?.interrupt(error);
    this.#turns.length = 0;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
  }
}
