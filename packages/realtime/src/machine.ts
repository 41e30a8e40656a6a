// The session's own log: events are folded by the `step` that the server folds with, and its effects are performed here.

import {
  type EventRecord,
  fold,
  initialState,
  type PerformedEffect,
  type SessionEvent,
  type SessionState,
} from '@parley/core';
import type { Clock } from '@parley/transport';

export interface MachineOptions {
  clock: Clock;
  /** Performs an effect. Whatever it appends is folded after the effects of this event. */
  perform(effect: PerformedEffect): void;
  /** Called for every entry, before the effects. */
  recorded(record: EventRecord): void;
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #waiting: SessionEvent[] = [];
  #state: SessionState = initialState();
  #folding = false;

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  get state(): SessionState {
    return this.#state;
  }

  append(event: SessionEvent): void {
    this.#waiting.push(event);
    if (this.#folding) return;
    this.#folding = true;
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) this.#fold(next);
    } finally {
      this.#folding = false;
    }
  }

  #fold(event: SessionEvent): void {
    const { state, records, effects } = fold(this.#state, event, this.#options.clock.now());
    this.#state = state;
    for (const record of records) this.#options.recorded(record);
    for (const effect of effects) this.#options.perform(effect);
  }
}
