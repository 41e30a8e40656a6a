// Applies groups of units. A group is one transaction; it is answered after its commit is on disk.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { isUnitsOwnFault, StoreFailure, wireError } from './sqlite-errors.ts';
import type { ClaimRow } from './store.ts';
import { type Cell, type GroupAnswer, type GroupMessage, OP, type UnitOutcome } from './wire.ts';

/** Thrown to leave a unit whose key is claimed already. */
class Claimed extends Error {
  readonly existing: ClaimRow;
  constructor(existing: ClaimRow) {
    super('claimed');
    this.existing = existing;
  }
}

export class SqliteWriter {
  private readonly db: DatabaseSync;
  private readonly sql: ReturnType<typeof statements>;
  private epoch = 0;

  constructor(db: DatabaseSync) {
    this.db = db;
    this.sql = statements(db);
  }

  apply(group: GroupMessage): GroupAnswer {
    const start = performance.now();
    if (group.epoch < this.epoch) {
      const error = {
        code: 'aborted',
        message: 'a write before this one failed; nothing of this one was kept',
      } as const;
      return { kind: 'group', ok: false, transaction_ms: 0, epoch: this.epoch, error };
    }
    try {
      let exceptions: UnitOutcome[];
      try {
        exceptions = this.transaction(group, false);
      } catch (error) {
        // Rare, so the common path pays for no savepoints: once more, with one around each unit.
        if (!isUnitsOwnFault(error)) throw error;
        exceptions = this.transaction(group, true);
      }
      return { kind: 'group', ok: true, transaction_ms: performance.now() - start, exceptions };
    } catch (error) {
      this.epoch++;
      const transaction_ms = performance.now() - start;
      return { kind: 'group', ok: false, transaction_ms, epoch: this.epoch, error: wireError(error) };
    }
  }

  private transaction(group: GroupMessage, savepoints: boolean): UnitOutcome[] {
    const { sql } = this;
    const exceptions: UnitOutcome[] = [];
    sql.begin.run();
    try {
      let at = 0;
      for (let index = 0; index < group.units; index++) {
        if (savepoints) sql.savepoint.run();
        try {
          this.unit(group.cells, at);
        } catch (error) {
          // A refused claim is the first write of its unit: nothing of the unit was applied.
          if (error instanceof Claimed) exceptions.push({ index, existing: error.existing });
          else if (savepoints && isUnitsOwnFault(error)) {
            sql.rollbackTo.run();
            exceptions.push({ index, error: wireError(error) });
          } else throw error;
        }
        if (savepoints) sql.release.run();
        at = endOfUnit(group.cells, at);
      }
      sql.commit.run();
      return exceptions;
    } catch (error) {
      // Some errors of SQLite end the transaction by themselves.
      if (this.db.isTransaction) sql.rollback.run();
      throw error;
    }
  }

  private unit(cells: readonly Cell[], start: number): void {
    const { sql } = this;
    const writes = cells[start] as number;
    let at = start + 1;
    const next = (): Cell => cells[at++] as Cell;
    for (let i = 0; i < writes; i++) {
      const op = next() as number;
      switch (op) {
        case OP.event_append:
          sql.eventAppend.run(next(), next(), next(), next(), next());
          break;
        case OP.execution_insert:
          sql.executionInsert.run(next(), next(), next(), next(), next(), next(), next(), next());
          break;
        case OP.execution_update: {
          const id = next();
          const { changes } = sql.executionUpdate.run(next(), next(), next(), id);
          if (changes === 0 && !sql.executionThere.get(id)) throw missing('execution', id);
          break;
        }
        case OP.session_insert:
          sql.sessionInsert.run(next(), next(), next(), next(), next());
          break;
        case OP.session_update: {
          const id = next();
          if (sql.sessionUpdate.run(next(), next(), id).changes === 0) throw missing('session', id);
          break;
        }
        case OP.note_insert: {
          const id = next();
          if (sql.noteInsert.run(id, next(), next(), next(), id).changes === 0) throw missing('execution', id);
          break;
        }
        case OP.claim_insert: {
          if (i > 0) throw new StoreFailure('invalid_argument', 'claim.insert must be the first write of its unit');
          const scope = next();
          const key = next();
          const { changes } = sql.claimInsert.run(scope, key, next(), next(), next());
          if (changes === 0) throw new Claimed({ ...(sql.claimGet.get(scope, key) as unknown as ClaimRow) });
          break;
        }
        case OP.key_insert:
          sql.keyInsert.run(next(), next(), next(), next(), next(), next());
          break;
        case OP.key_revoke: {
          const id = next();
          if (sql.keyRevoke.run(next(), id).changes === 0) throw missing('key', id);
          break;
        }
        default:
          throw new StoreFailure('internal', `unknown write ${op}`);
      }
    }
  }
}

/** Cells behind the code of each write. */
const CELLS_OF: Readonly<Record<number, number>> = {
  [OP.session_insert]: 5,
  [OP.session_update]: 3,
  [OP.event_append]: 5,
  [OP.execution_insert]: 8,
  [OP.execution_update]: 4,
  [OP.note_insert]: 4,
  [OP.claim_insert]: 5,
  [OP.key_insert]: 6,
  [OP.key_revoke]: 2,
};

function endOfUnit(cells: readonly Cell[], start: number): number {
  let at = start + 1;
  for (let left = cells[start] as number; left > 0; left--) at += 1 + (CELLS_OF[cells[at] as number] ?? 0);
  return at;
}

function missing(noun: string, id: Cell): StoreFailure {
  return new StoreFailure('not_found', `there is no ${noun} ${id}`);
}

function statements(db: DatabaseSync) {
  const sql = (text: string): StatementSync => db.prepare(text);
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    savepoint: sql('SAVEPOINT unit'),
    rollbackTo: sql('ROLLBACK TO unit'),
    release: sql('RELEASE unit'),
    eventAppend: sql('INSERT INTO events (session_id, seq, at_ms, type, json) VALUES (?, ?, ?, ?, ?)'),
    executionInsert: sql(
      'INSERT INTO executions (execution_id, workflow_id, session_id, target, status, body, input, output) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    // The first end of an execution wins. What went in is fixed, so an update leaves `input` alone.
    executionUpdate: sql(
      "UPDATE executions SET status = ?, body = ?, output = ? WHERE execution_id = ? AND status IN ('queued', 'running')",
    ),
    executionThere: sql('SELECT 1 FROM executions WHERE execution_id = ?'),
    sessionInsert: sql('INSERT INTO sessions (session_id, agent, target, status, body) VALUES (?, ?, ?, ?, ?)'),
    sessionUpdate: sql('UPDATE sessions SET status = ?, body = ? WHERE session_id = ?'),
    noteInsert: sql(
      'INSERT INTO notes (execution_id, at_ms, text, data) SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM executions WHERE execution_id = ?)',
    ),
    claimInsert: sql(
      'INSERT INTO claims (scope, key, fingerprint, result, at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    claimGet: sql('SELECT scope, key, fingerprint, result, at_ms FROM claims WHERE scope = ? AND key = ?'),
    keyInsert: sql(
      'INSERT INTO keys (key_id, hash, name, scopes, created_at_ms, revoked_at_ms) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    keyRevoke: sql('UPDATE keys SET revoked_at_ms = COALESCE(revoked_at_ms, ?) WHERE key_id = ?'),
  };
}
