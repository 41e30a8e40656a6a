// What the main loop and the store's workers say to each other.
//
// A group of units travels as one flat array of strings and numbers: cloning strings costs little, cloning deep objects
// costs a lot, and the main loop is where time is short. JSON is written once, here, and never read by the writer.

import type { ErrorCode, ExecutionResource } from '@parley/core';
import type { ClaimRow, Write } from './store.ts';

export type Cell = string | number | null;

/** Each write is its code, then a fixed number of cells; each unit starts with the number of its writes. */
export const OP = {
  session_insert: 1,
  session_update: 2,
  event_append: 3,
  execution_insert: 4,
  execution_update: 5,
  note_insert: 6,
  claim_insert: 7,
  key_insert: 8,
  key_revoke: 9,
} as const;

/** An error on its way between threads. */
export interface WireError {
  code: ErrorCode;
  message: string;
}

export interface GroupMessage {
  kind: 'group';
  /** Rises with every failed group: units that were sent before their sender knew of the failure are refused. */
  epoch: number;
  units: number;
  cells: Cell[];
}

/** What became of the units that were not simply applied; the index counts within the group. */
export type UnitOutcome = { index: number; existing: ClaimRow } | { index: number; error: WireError };

export type GroupAnswer =
  | { kind: 'group'; ok: true; transaction_ms: number; exceptions: UnitOutcome[] }
  | { kind: 'group'; ok: false; transaction_ms: number; epoch: number; error: WireError };

export interface ReadMessage {
  kind: 'read';
  id: number;
  name: string;
  args: readonly unknown[];
}

export type ReadAnswer = { kind: 'read'; id: number; value: unknown } | { kind: 'read'; id: number; error: WireError };

export type WorkerAnswer = GroupAnswer | ReadAnswer | { kind: 'ready' } | { kind: 'refused'; error: WireError };

export interface WorkerStart {
  role: 'writer' | 'reader';
  directory: string;
  database_bytes_max: number;
}

/**
 * Writes one unit behind `cells` and returns its size: characters of text, which stand in for bytes.
 *
 * @throws TypeError when a value has no JSON form; `cells` is then as it was.
 */
export function encodeUnit(cells: Cell[], unit: readonly Write[]): number {
  const start = cells.length;
  try {
    cells.push(0);
    let writes = 0;
    for (const write of unit) writes += encodeWrite(cells, write);
    cells[start] = writes;
  } catch (error) {
    cells.length = start;
    throw error;
  }
  let size = 0;
  for (let i = start; i < cells.length; i++) {
    const cell = cells[i];
    size += typeof cell === 'string' ? cell.length : 8;
  }
  return size;
}

function encodeWrite(cells: Cell[], write: Write): number {
  switch (write.op) {
    case 'session.insert': {
      const { session } = write;
      const { session_id, agent, target, status } = session;
      cells.push(OP.session_insert, session_id, agent, target, status, JSON.stringify(session));
      return 1;
    }
    case 'session.update': {
      const { session } = write;
      cells.push(OP.session_update, session.session_id, session.status, JSON.stringify(session));
      return 1;
    }
    case 'events.append':
      for (const event of write.events) {
        cells.push(OP.event_append, write.session_id, event.seq, event.at_ms, event.type, event.json);
      }
      return write.events.length;
    case 'execution.insert': {
      const { execution_id, workflow_id, session_id, target, status, input, output } = write.execution;
      cells.push(OP.execution_insert, execution_id, workflow_id, session_id ?? null, target, status);
      cells.push(briefJson(write.execution), jsonOrNull(input), jsonOrNull(output));
      return 1;
    }
    case 'execution.update': {
      const { execution_id, status, output } = write.execution;
      cells.push(OP.execution_update, execution_id, status, briefJson(write.execution), jsonOrNull(output));
      return 1;
    }
    case 'note.insert': {
      const { execution_id, at_ms, text, data } = write.note;
      cells.push(OP.note_insert, execution_id, at_ms, text, data ?? null);
      return 1;
    }
    case 'claim.insert': {
      const { scope, key, fingerprint, result, at_ms } = write.claim;
      cells.push(OP.claim_insert, scope, key, fingerprint, result, at_ms);
      return 1;
    }
    case 'key.insert': {
      const { key_id, hash, name, scopes, created_at_ms, revoked_at_ms } = write.key;
      cells.push(OP.key_insert, key_id, hash, name, JSON.stringify(scopes), created_at_ms, revoked_at_ms ?? null);
      return 1;
    }
    case 'key.revoke':
      cells.push(OP.key_revoke, write.key_id, write.at_ms);
      return 1;
  }
}

/** An execution without what has its own column: lists and trees never touch the large values. */
function briefJson(execution: ExecutionResource): string {
  const { input: _input, output: _output, notes: _notes, ...brief } = execution;
  return JSON.stringify(brief);
}

// A value that is absent and a value that is null are two things: the second is the text `null`.
function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : (JSON.stringify(value) ?? null);
}
