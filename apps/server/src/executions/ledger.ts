// The unfinished executions, and the one place where an execution ends.
//
// P1  The first end of an execution wins; a later one changes nothing.
// P2  An end is on disk before anybody hears of it: waiters, listeners, and the agent that sent it.
// P3  An end that cannot be written is kept and tried again; it is never let go.

import { type ExecutionResource, ParleyError } from '@parley/core';
import type { ServerClock } from '../agents/clock.ts';
import type { Deadlines } from '../agents/deadlines.ts';
import type { Instance, Log } from '../agents/work.ts';
import type { Store } from '../store/store.ts';
import { type Ending, endedResource } from './ending.ts';
import type { Entry } from './entry.ts';
import type { ExecutionLimits } from './limits.ts';
import type { Watchers } from './watchers.ts';

export interface LedgerParts {
  store: Store;
  clock: ServerClock;
  deadlines: Deadlines;
  watchers: Watchers;
  limits: ExecutionLimits;
  log: Log;
  /** Told of every end, once it is on disk. */
  ended: (execution: ExecutionResource) => void;
}

export class Ledger {
  readonly #parts: LedgerParts;
  readonly #entries = new Map<string, Entry>();
  #input_bytes = 0;
  /** Called when an execution gives its place back, with who had it; and when it is out of memory. */
  #released: (entry: Entry, instance: Instance | null) => void = () => {};
  #finished: () => void = () => {};

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  on(released: (entry: Entry, instance: Instance | null) => void, finished: () => void): void {
    this.#released = released;
    this.#finished = finished;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(execution_id: string): Entry | undefined {
    return this.#entries.get(execution_id);
  }

  values(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** @throws ParleyError `resource_exhausted`, `already_exists`. */
  admit(entry: Entry): void {
    const { unfinished_max, input_bytes_max } = this.#parts.limits;
    if (this.#entries.size >= unfinished_max) {
      throw full(`its limit of ${unfinished_max} unfinished executions`, unfinished_max, this.#entries.size);
    }
    if (this.#input_bytes + entry.input_bytes > input_bytes_max) {
      throw full(`its limit of ${input_bytes_max} bytes of inputs`, input_bytes_max, this.#input_bytes);
    }
    if (this.#entries.has(entry.id)) {
      throw new ParleyError('already_exists', `execution ${entry.id} was started before`);
    }
    this.add(entry);
  }

  /** Without asking for room: what a restart finds is there already. */
  add(entry: Entry): void {
    this.#entries.set(entry.id, entry);
    this.#input_bytes += entry.input_bytes;
    const { parent } = entry;
    if (!parent) return;
    (parent.children ??= new Set()).add(entry);
    park(parent);
  }

  /** Takes it out, without an end: it never came to be. */
  drop(entry: Entry): void {
    if (!this.#entries.delete(entry.id)) return;
    this.#input_bytes -= entry.input_bytes;
    this.#parts.deadlines.remove(entry.deadline);
    leave(entry);
    this.#finished();
  }

  /** Ends it. Returns false when it had ended before (P1). */
  end(entry: Entry, ending: Ending, told: Instance | null = null): boolean {
    if (entry.phase.kind === 'ending') return false;
    const { instance } = entry;
    const end = endedResource(entry.resource, ending, this.#parts.clock.wall());
    entry.phase = { kind: 'ending', instance, end, told };
    this.#parts.deadlines.remove(entry.deadline);
    // Before its place is given away: its caller goes on and needs that place again.
    leave(entry);
    this.#write(entry, end);
    this.#released(entry, instance);
    return true;
  }

  #write(entry: Entry, end: ExecutionResource, first = true): void {
    this.#parts.store.commit([{ op: 'execution.update', execution: end }]).then(
      () => this.#finish(entry, end),
      (error: unknown) => {
        // Its row was refused after it had ended: there is nothing to write it to.
        if (!this.#entries.has(entry.id)) {
          this.#finish(entry, end);
          return;
        }
        if (first) {
          const { code } = ParleyError.from(error);
          this.#parts.log.error({ execution_id: entry.id, code }, 'an end was not written; it is tried again');
        }
        entry.deadline = this.#parts.deadlines.add(this.#parts.limits.retry_ms, () => this.#write(entry, end, false));
      },
    );
  }

  #finish(entry: Entry, end: ExecutionResource): void {
    const { watchers } = this.#parts;
    const { phase } = entry;
    this.drop(entry);
    if (phase.kind === 'ending') phase.told?.settled(entry.id);
    this.#parts.ended(end);
    watchers.settle(end);
    if (watchers.hears(entry.id)) {
      watchers.tell({
        type: `execution.${end.status}`,
        execution_id: entry.id,
        at_ms: end.finished_at_ms ?? this.#parts.clock.wall(),
        execution: end,
      });
    }
  }
}

/** Puts an execution among those of its instance that only wait for others, or takes it out. */
export function park({ id, instance, children }: Entry): void {
  if (children && instance?.executions.has(id)) instance.parked.add(id);
  else instance?.parked.delete(id);
}

/** Its caller waits for it no longer. */
function leave(entry: Entry): void {
  const { parent } = entry;
  if (!parent?.children?.delete(entry) || parent.children.size > 0) return;
  parent.children = null;
  park(parent);
}

function full(what: string, limit: number, current: number): ParleyError {
  return new ParleyError('resource_exhausted', `the server is at ${what}`, {
    retry_after_ms: 1000,
    details: { limit, current },
  });
}
