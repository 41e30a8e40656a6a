// The embedded store: SQLite in a worker thread for writes and another for reads.
//
// P1 is kept by the writer (answer after commit, synchronous=FULL), P2 by the queue (order of calls; a read leaves when
// the commits before it were answered), P3 by both.

import { ParleyError, type ExecutionResource, type SessionResource } from '@parley/core';
import { CommitQueue } from './commit-queue.ts';
import type { ExecutionTexts, ReadName, SqliteReader } from './sqlite-reader.ts';
import type { Committed, ExecutionQuery, SessionQuery, Store, StoreOptions, StoreStats, Write } from './store.ts';
import { StoreThread } from './store-thread.ts';
import type { WireError } from './wire.ts';

const UNITS_MAX = 100_000;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
const DATABASE_BYTES_MAX = 256 * 1024 ** 3;
const READS_MAX = 10_000;
const PAGE_MAX = 200;
const EVENTS_MAX = 10_000;
const WORKFLOW_MAX = 100_000;
const IDS_MAX = 1_000;

/**
 * Opens the embedded store.
 *
 * @throws ParleyError `failed_precondition` when another server has the directory or a newer server wrote it, `data_loss`
 * when the file is damaged.
 *
 * @example
 * const store = await openSqliteStore({ directory: '.parley' });
 * await store.commit([{ op: 'session.insert', session }]);
 * await store.close();
 */
export async function openSqliteStore(options: StoreOptions): Promise<Store> {
  const { directory, database_bytes_max = DATABASE_BYTES_MAX } = options;
  const writer = await StoreThread.open({ role: 'writer', directory, database_bytes_max });
  if (directory === ':memory:') return new SqliteStore(writer, writer, options);
  try {
    return new SqliteStore(writer, await StoreThread.open({ role: 'reader', directory, database_bytes_max }), options);
  } catch (error) {
    await writer.close();
    throw error;
  }
}

class SqliteStore implements Store {
  private readonly writer: StoreThread;
  private readonly reader: StoreThread;
  private readonly queue: CommitQueue;
  private readonly reads_max: number;
  private reads_waiting = 0;
  private ended: WireError | null = null;
  private closing: Promise<void> | null = null;

  constructor(writer: StoreThread, reader: StoreThread, options: StoreOptions) {
    this.writer = writer;
    this.reader = reader;
    this.reads_max = options.reads_max ?? READS_MAX;
    this.queue = new CommitQueue({
      units_max: options.units_max ?? UNITS_MAX,
      waiting_bytes_max: options.waiting_bytes_max ?? WAITING_BYTES_MAX,
      send: (message) => writer.write(message),
    });
    writer.onGroup = (answer) => this.queue.answered(answer);
    const broken = (error: WireError): void => {
      if (this.ended && !this.closing) return;
      this.ended = error;
      this.queue.fail(error);
      options.onFailure?.(new ParleyError(error.code, error.message));
    };
    writer.onBroken = broken;
    reader.onBroken = broken;
  }

  commit(unit: Write[]): Promise<Committed> {
    if (this.ended) return Promise.reject(new ParleyError(this.ended.code, this.ended.message));
    return this.queue.commit(unit);
  }

  async session(session_id: string): Promise<SessionResource | null> {
    const body = await this.read('session', session_id);
    return body === null ? null : (JSON.parse(body) as SessionResource);
  }

  async sessions(query: SessionQuery): Promise<{ rows: SessionResource[]; next_cursor?: string }> {
    checkLimit(query.limit, PAGE_MAX);
    const { rows, next } = await this.read('sessions', query, position(query.cursor));
    return pageOf(
      rows.map((row) => JSON.parse(row.body) as SessionResource),
      next,
    );
  }

  async unfinishedSessions(): Promise<SessionResource[]> {
    return (await this.read('unfinishedSessions')).map((body) => JSON.parse(body) as SessionResource);
  }

  async events(session_id: string, after: number, limit: number): ReturnType<Store['events']> {
    checkLimit(limit, EVENTS_MAX);
    return await this.read('events', session_id, after, limit);
  }

  async execution(execution_id: string): Promise<ExecutionResource | null> {
    const found = await this.read('execution', execution_id);
    if (!found) return null;
    const notes = found.notes.map(({ at_ms, text, data }) =>
      data === null ? { at_ms, text } : { at_ms, text, data: JSON.parse(data) as unknown },
    );
    return { ...executionOf(found.row), notes };
  }

  async executionsById(execution_ids: readonly string[]): Promise<ExecutionResource[]> {
    if (execution_ids.length > IDS_MAX) {
      throw new ParleyError(
        'invalid_argument',
        `at most ${IDS_MAX} execution ids at once, got ${execution_ids.length}`,
      );
    }
    const rows = new Map((await this.read('executionsById', execution_ids)).map((row) => [row.execution_id, row]));
    return execution_ids.flatMap((id) => rows.get(id) ?? []).map(executionOf);
  }

  async executions(query: ExecutionQuery, brief = false): Promise<{ rows: ExecutionResource[]; next_cursor?: string }> {
    checkLimit(query.limit, PAGE_MAX);
    const { rows, next } = await this.read('executions', query, brief, position(query.cursor));
    return pageOf(rows.map(executionOf), next);
  }

  async workflow(workflow_id: string, limit: number): Promise<ExecutionResource[]> {
    checkLimit(limit, WORKFLOW_MAX);
    const rows = await this.read('workflow', workflow_id, limit);
    return rows.map(({ body, notes }) => ({
      ...executionOf({ body }),
      notes: Array.from({ length: notes }, () => ({})),
    }));
  }

  async unfinishedExecutions(): Promise<ExecutionResource[]> {
    return (await this.read('unfinishedExecutions')).map(executionOf);
  }

  claim(scope: string, key: string): ReturnType<Store['claim']> {
    return this.read('claim', scope, key);
  }

  async keys(): ReturnType<Store['keys']> {
    return (await this.read('keys')).map(({ revoked_at_ms, scopes, ...row }) => {
      const key = { ...row, scopes: JSON.parse(scopes) as string[] };
      return revoked_at_ms === null ? key : { ...key, revoked_at_ms };
    });
  }

  stats(): StoreStats {
    return this.queue.stats();
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.ended ??= { code: 'unavailable', message: 'the store is closed' };
    await new Promise<void>((resolve) => this.queue.afterCommits(resolve));
    // The reader first: the last connection to leave folds the log into the database, and it must be able to write.
    if (this.reader !== this.writer) await this.reader.close();
    await this.writer.close();
  }

  private async read<Name extends ReadName>(
    name: Name,
    ...args: Parameters<SqliteReader[Name]>
  ): Promise<ReturnType<SqliteReader[Name]>> {
    if (this.ended) throw new ParleyError(this.ended.code, this.ended.message);
    if (this.reads_waiting >= this.reads_max) {
      const message = `the store has ${this.reads_waiting} reads waiting, at most ${this.reads_max} may`;
      throw new ParleyError('resource_exhausted', message, { retry_after_ms: 100 });
    }
    this.reads_waiting++;
    try {
      return await new Promise((resolve) => {
        this.queue.afterCommits(() => resolve(this.reader.read(name, ...args)));
      });
    } finally {
      this.reads_waiting--;
    }
  }
}

function executionOf({ body, input, output }: ExecutionTexts): ExecutionResource {
  const execution = JSON.parse(body) as ExecutionResource;
  if (typeof input === 'string') execution.input = JSON.parse(input);
  if (typeof output === 'string') execution.output = JSON.parse(output);
  return execution;
}

function pageOf<Row>(rows: Row[], next: number | null): { rows: Row[]; next_cursor?: string } {
  return next === null ? { rows } : { rows, next_cursor: next.toString(36) };
}

function position(cursor: string | undefined): number | null {
  if (cursor === undefined) return null;
  const at = Number.parseInt(cursor, 36);
  if (at.toString(36) === cursor) return at;
  throw new ParleyError('invalid_argument', 'cursor must be the next_cursor of the page before');
}

function checkLimit(limit: number, max: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return;
  throw new ParleyError('invalid_argument', `limit must be a whole number from 1 to ${max}, got ${limit}`);
}
