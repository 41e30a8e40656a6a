// What a start finds of the time before. A row that says `waiting_for_agent` was never given out and is given to
// whoever comes; any other may have been, and waits for an instance that says that it has it.

import { type ExecutionResource } from '@parley/core';
import type { Store } from '../store/store.ts';
import { Entry, WAITING } from './entry.ts';

export interface Recovered {
  /** Never given out. */
  waiting: Entry[];
  /** Perhaps given out. */
  given: Entry[];
  /** Root executions of sessions: their module ends them. */
  sessions: ExecutionResource[];
}

/** @param expires monotonic time at which what is found times out; rows do not say, so it counts anew. */
export async function findUnfinished(store: Store, expires: number): Promise<Recovered> {
  const rows = await store.unfinishedExecutions();
  const found: Recovered = { waiting: [], given: [], sessions: [] };
  const byId = new Map<string, Entry>();
  // Parents first, so that each child finds its own.
  for (const row of rows.sort((a, b) => a.created_at_ms - b.created_at_ms)) {
    if (row.kind === 'session') {
      found.sessions.push(row);
      continue;
    }
    const parent = row.parent_execution_id === undefined ? undefined : byId.get(row.parent_execution_id);
    const input = JSON.stringify(row.input ?? {});
    const entry = new Entry(row, { input, declaration: undefined, parent: parent ?? null, expires });
    byId.set(entry.id, entry);
    if (row.status === 'queued' && row.reason === WAITING) found.waiting.push(entry);
    else {
      entry.marked = true;
      entry.phase = { kind: 'recovered' };
      found.given.push(entry);
    }
  }
  return found;
}
