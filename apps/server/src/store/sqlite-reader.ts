// Answers reads from a connection that cannot write. Rows leave as text; the main side makes values of them.

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { queries, type Tables } from './queries.ts';
import type { ClaimRow, ExecutionQuery, SessionQuery, StoredEvent } from './store.ts';

/** A page also ends when its text passes this, so that no answer is larger than the largest row and this together. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Prepared statements kept by their text. */
const STATEMENTS_MAX = 200;

export interface ExecutionTexts {
  body: string;
  input?: string | null;
  output?: string | null;
}
export interface NoteTexts {
  at_ms: number;
  text: string;
  data: string | null;
}
export interface KeyTexts {
  key_id: string;
  hash: string;
  name: string;
  scopes: string;
  created_at_ms: number;
  revoked_at_ms: number | null;
}
export interface Page<Row> {
  rows: Row[];
  /** `ord` of the last row, when there are more. */
  next: number | null;
}

export class SqliteReader {
  private readonly db: DatabaseSync;
  private readonly prepared = new Map<string, StatementSync>();
  private readonly sql = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });

  constructor(db: DatabaseSync) {
    this.db = db;
  }

  session(session_id: string): string | null {
    return this.all<{ body: string }>(queries.session(this.sql, session_id))[0]?.body ?? null;
  }

  sessions(query: SessionQuery, before: number | null): Page<{ ord: number; body: string }> {
    return this.page(queries.sessions(this.sql, query, before), query.limit);
  }

  unfinishedSessions(): string[] {
    return this.all<{ body: string }>(queries.unfinishedSessions(this.sql)).map((row) => row.body);
  }

  events(session_id: string, after: number, limit: number): { events: StoredEvent[]; last_seq: number } {
    return this.snapshot(() => {
      const events: StoredEvent[] = [];
      let bytes = 0;
      for (const row of this.each<StoredEvent>(queries.events(this.sql, session_id, after, limit))) {
        events.push(row);
        bytes += row.json.length;
        if (bytes > PAGE_BYTES_MAX) break;
      }
      const last = this.all<{ last_seq: number | null }>(queries.lastSeq(this.sql, session_id))[0];
      return { events, last_seq: last?.last_seq ?? 0 };
    });
  }

  execution(execution_id: string): { row: ExecutionTexts; notes: NoteTexts[] } | null {
    return this.snapshot(() => {
      const row = this.all<ExecutionTexts>(queries.executionsById(this.sql, [execution_id]))[0];
      return row ? { row, notes: this.all<NoteTexts>(queries.notes(this.sql, execution_id)) } : null;
    });
  }

  executionsById(execution_ids: readonly string[]): (ExecutionTexts & { execution_id: string })[] {
    return execution_ids.length === 0 ? [] : this.all(queries.executionsById(this.sql, execution_ids));
  }

  executions(query: ExecutionQuery, brief: boolean, before: number | null): Page<ExecutionTexts & { ord: number }> {
    return this.page(queries.executions(this.sql, query, brief, before), query.limit);
  }

  workflow(workflow_id: string, limit: number): { body: string; notes: number }[] {
    return this.all(queries.workflow(this.sql, workflow_id, limit));
  }

  unfinishedExecutions(): ExecutionTexts[] {
    return this.all(queries.unfinishedExecutions(this.sql));
  }

  claim(scope: string, key: string): ClaimRow | null {
    return this.all<ClaimRow>(queries.claim(this.sql, scope, key))[0] ?? null;
  }

  keys(): KeyTexts[] {
    return this.all(queries.keys(this.sql));
  }

  private page<Row extends ExecutionTexts & { ord: number }>(query: CompiledQuery, limit: number): Page<Row> {
    const rows: Row[] = [];
    let bytes = 0;
    for (const row of this.each<Row>(query)) {
      // One row more than asked for was selected: it is there when this page is not the last.
      const last = rows.at(-1);
      if (last && (rows.length === limit || bytes > PAGE_BYTES_MAX)) return { rows, next: last.ord };
      rows.push(row);
      bytes += row.body.length + (row.input?.length ?? 0) + (row.output?.length ?? 0);
    }
    return { rows, next: null };
  }

  /** Two selects that must see the same state. */
  private snapshot<T>(read: () => T): T {
    this.db.exec('BEGIN');
    try {
      return read();
    } finally {
      this.db.exec('COMMIT');
    }
  }

  // The queries name their columns; what comes back has the shape that the caller states.
  private all<Row>(query: CompiledQuery): Row[] {
    return this.statement(query).all(...(query.parameters as SQLInputValue[])) as Row[];
  }

  private each<Row>(query: CompiledQuery): Iterable<Row> {
    return this.statement(query).iterate(...(query.parameters as SQLInputValue[])) as Iterable<Row>;
  }

  private statement(query: CompiledQuery): StatementSync {
    let statement = this.prepared.get(query.sql);
    if (!statement) {
      if (this.prepared.size >= STATEMENTS_MAX) this.prepared.clear();
      this.prepared.set(query.sql, (statement = this.db.prepare(query.sql)));
    }
    return statement;
  }
}

/** The names of the reads, for the main side. */
export type ReadName = keyof SqliteReader;
