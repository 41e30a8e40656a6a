// Notes on executions: short texts that an author leaves beside the work.

import { type ExecutionResource, ParleyError } from '@parley/core';
import type { ServerClock } from '../agents/clock.ts';
import type { Log } from '../agents/work.ts';
import type { NoteRow, Store } from '../store/store.ts';
import { Entry } from './entry.ts';
import type { ExecutionLimits } from './limits.ts';
import type { Watchers } from './watchers.ts';

/** As in NoteRequest. */
const TEXT_CHARS_MAX = 4096;

interface NotesParts {
  store: Store;
  watchers: Watchers;
  clock: ServerClock;
  limits: ExecutionLimits;
  log: Log;
}

export class Notes {
  readonly #parts: NotesParts;

  constructor(parts: NotesParts) {
    this.#parts = parts;
  }

  /** Resolves when it is on disk. @throws ParleyError `invalid_argument`, `resource_exhausted`. */
  async add(on: Entry | ExecutionResource, text: string, data: unknown): Promise<void> {
    const note = this.#check(on, text, data);
    await this.#write(note, data);
  }

  /** From an agent, which does not wait. @throws as `add`, at once. */
  take(on: Entry, text: string, data: unknown): void {
    const note = this.#check(on, text, data);
    this.#write(note, data).catch((error: unknown) => {
      const { code } = ParleyError.from(error);
      this.#parts.log.error({ execution_id: note.execution_id, code }, 'a note was not written');
    });
  }

  #check(on: Entry | ExecutionResource, text: string, data: unknown): NoteRow {
    const entry = on instanceof Entry ? on : null;
    const execution_id = on instanceof Entry ? on.id : on.execution_id;
    const count = on instanceof Entry ? on.notes : (on.notes?.length ?? 0);
    const { notes_max, payload_bytes_max } = this.#parts.limits;
    if (text.length === 0 || text.length > TEXT_CHARS_MAX) {
      throw new ParleyError('invalid_argument', `text must have 1 to ${TEXT_CHARS_MAX} characters, got ${text.length}`);
    }
    if (count >= notes_max) {
      const message = `execution ${execution_id} is at its limit of ${notes_max} notes`;
      throw new ParleyError('resource_exhausted', message, { retryable: false, details: { limit: notes_max } });
    }
    const note: NoteRow = { execution_id, at_ms: this.#parts.clock.wall(), text };
    if (data !== undefined) {
      note.data = JSON.stringify(data);
      if (Buffer.byteLength(note.data) > payload_bytes_max) {
        const message = `the data of a note may have at most ${payload_bytes_max} bytes as JSON`;
        throw new ParleyError('resource_exhausted', message, { retryable: false });
      }
    }
    if (entry) entry.notes += 1;
    return note;
  }

  async #write(note: NoteRow, data: unknown): Promise<void> {
    await this.#parts.store.commit([{ op: 'note.insert', note }]);
    const { execution_id, at_ms, text } = note;
    const { watchers } = this.#parts;
    if (watchers.hears(execution_id)) watchers.tell({ type: 'execution.note', execution_id, at_ms, text, data });
  }
}
