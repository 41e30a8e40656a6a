// The store's interface over Maps, for tests of what stands on it. Units are applied whole and in order, a turn later.

import { type ExecutionResource, isTerminal, ParleyError } from '@parley/core';
import type { ClaimRow, Committed, ExecutionQuery, NoteRow, Store, StoreStats, Write } from './store.ts';

export class MemoryStore implements Store {
  readonly rows = new Map<string, ExecutionResource>();
  readonly #claims = new Map<string, ClaimRow>();
  readonly #notes: NoteRow[] = [];
  units = 0;

  async commit(unit: Write[]): Promise<Committed> {
    this.units += 1;
    const frozen = structuredClone(unit);
    await Promise.resolve();
    for (const write of frozen) {
      if (write.op === 'claim.insert') {
        const key = JSON.stringify([write.claim.scope, write.claim.key]);
        const existing = this.#claims.get(key);
        if (existing) return { ok: false, existing };
        this.#claims.set(key, write.claim);
      } else if (write.op === 'execution.insert') {
        if (this.rows.has(write.execution.execution_id)) throw new ParleyError('already_exists', 'the row is there');
        this.rows.set(write.execution.execution_id, write.execution);
      } else if (write.op === 'execution.update') {
        const row = this.rows.get(write.execution.execution_id);
        if (row && !isTerminal(row.status)) this.rows.set(row.execution_id, write.execution);
      } else if (write.op === 'note.insert') this.#notes.push(write.note);
      else throw new ParleyError('unimplemented', `this store has no ${write.op}`);
    }
    return { ok: true };
  }

  #noted(row: ExecutionResource): ExecutionResource {
    const notes = this.#notes.filter((note) => note.execution_id === row.execution_id);
    return notes.length > 0 ? { ...row, notes: notes.map((note) => ({ ...note })) } : { ...row };
  }

  async execution(execution_id: string): Promise<ExecutionResource | null> {
    const row = this.rows.get(execution_id);
    return row ? this.#noted(row) : null;
  }

  async executionsById(ids: readonly string[]): Promise<ExecutionResource[]> {
    return ids.flatMap((id) => this.rows.get(id) ?? []);
  }

  async executions(query: ExecutionQuery): Promise<{ rows: ExecutionResource[]; next_cursor?: string }> {
    const from = Number(query.cursor ?? 0);
    const all = [...this.rows.values()]
      .reverse()
      .filter(
        (row) =>
          (query.status === undefined || row.status === query.status) &&
          (query.target === undefined || row.target === query.target) &&
          (query.workflow_id === undefined || row.workflow_id === query.workflow_id) &&
          (query.session_id === undefined || row.session_id === query.session_id),
      );
    const rows = all.slice(from, from + query.limit);
    return from + query.limit < all.length ? { rows, next_cursor: String(from + query.limit) } : { rows };
  }

  async workflow(workflow_id: string, limit: number): Promise<ExecutionResource[]> {
    return [...this.rows.values()].filter((row) => row.workflow_id === workflow_id).slice(0, limit);
  }

  async unfinishedExecutions(): Promise<ExecutionResource[]> {
    return [...this.rows.values()].filter((row) => !isTerminal(row.status)).map((row) => ({ ...row }));
  }

  async claim(scope: string, key: string): Promise<ClaimRow | null> {
    return this.#claims.get(JSON.stringify([scope, key])) ?? null;
  }

  async session(): Promise<null> {
    return null;
  }
  async sessions(): Promise<{ rows: [] }> {
    return { rows: [] };
  }
  async unfinishedSessions(): Promise<[]> {
    return [];
  }
  async events(): Promise<{ events: []; last_seq: number }> {
    return { events: [], last_seq: 0 };
  }
  async keys(): Promise<[]> {
    return [];
  }
  stats(): StoreStats {
    return { units_waiting: 0, transactions: 0, units: this.units, transaction_ms_max: 0, transaction_ms_last: 0 };
  }
  async close(): Promise<void> {}
}
