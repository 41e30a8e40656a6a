// The log of one live session: folds an event, writes what follows from it, and only then tells anybody.
//
// P1  Listeners hear a record, and effects are performed, after the record is on disk.
// P2  Both happen in the order of the log.

import {
  type EventRecord,
  fold,
  initialState,
  ParleyError,
  type PerformedEffect,
  type SessionEvent,
  type SessionState,
} from '@parley/core';
import type { Committed, Store, StoredEvent, Write } from '../store/store.ts';

/** A record and its JSON text, made once for the disk, the event streams and the clients. */
export type LogListener = (record: EventRecord, json: string) => void;

export interface LogOptions {
  session_id: string;
  store: Store;
  perform: (effect: PerformedEffect) => void;
  /** The disk refused: the session cannot go on. */
  broken: (error: unknown) => void;
  now: () => number;
}

export class SessionLog {
  readonly #options: LogOptions;
  readonly #listeners = new Set<LogListener>();
  #state: SessionState;
  /** Why nothing more can be written: what is folded here and what is on disk are no longer the same. */
  #broken: ParleyError | null = null;

  constructor(options: LogOptions, state: SessionState = initialState()) {
    this.#options = options;
    this.#state = state;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Why nothing more can be written, once that is so. */
  get broken(): ParleyError | null {
    return this.#broken;
  }

  /** @throws ParleyError `failed_precondition` once the session is ending: nothing new begins then. */
  checkOpen(): void {
    const { phase } = this.#state;
    if (phase === 'closing' || phase === 'closed') {
      throw new ParleyError('failed_precondition', `session ${this.#options.session_id} is ${phase}`, {
        retryable: false,
      });
    }
  }

  /** Appends an event; `writes` go to disk in the same unit, before it. */
  async append(event: SessionEvent, writes: (state: SessionState) => Write[] = () => []): Promise<Committed> {
    if (this.#state.phase === 'closed') return { ok: true };
    if (this.#broken !== null) throw this.#broken;
    const folded = fold(this.#state, event, this.#options.now());
    this.#state = folded.state;
    const texts = folded.records.map((record) => JSON.stringify(record));
    const events = folded.records.map((record, i): StoredEvent => {
      return { seq: record.seq, at_ms: record.at_ms, type: record.type, json: texts[i] as string };
    });
    let committed: Committed;
    try {
      committed = await this.#options.store.commit([
        ...writes(folded.state),
        { op: 'events.append', session_id: this.#options.session_id, events },
      ]);
    } catch (error) {
      // Units that were on their way behind it are refused too, and tell nobody a second time.
      if (this.#broken === null) {
        this.#broken = ParleyError.from(error, 'internal');
        this.#options.broken(error);
      }
      throw error;
    }
    if (!committed.ok) return committed;
    for (const [i, record] of folded.records.entries()) {
      for (const listener of this.#listeners) listener(record, texts[i] as string);
    }
    for (const effect of folded.effects) this.#options.perform(effect);
    return committed;
  }

  subscribe(listener: LogListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }
}
