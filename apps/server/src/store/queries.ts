// The reads, as Kysely builds them: the same queries compile for SQLite here and for PostgreSQL in its driver.

import type { CompiledQuery, Generated, Kysely } from 'kysely';
import type { ExecutionQuery, SessionQuery } from './store.ts';

export interface Tables {
  sessions: { ord: Generated<number>; session_id: string; agent: string; target: string; status: string; body: string };
  events: { session_id: string; seq: number; at_ms: number; type: string; json: string };
  executions: {
    ord: Generated<number>;
    execution_id: string;
    workflow_id: string;
    session_id: string | null;
    target: string;
    status: string;
    body: string;
    input: string | null;
    output: string | null;
  };
  notes: { ord: Generated<number>; execution_id: string; at_ms: number; text: string; data: string | null };
  claims: { scope: string; key: string; fingerprint: string; result: string; at_ms: number };
  keys: {
    ord: Generated<number>;
    key_id: string;
    hash: string;
    name: string;
    scopes: string;
    created_at_ms: number;
    revoked_at_ms: number | null;
  };
}

/** Notes that come with one execution, or with one workflow. */
const NOTES_MAX = 10_000;

type Sql = Kysely<Tables>;

export const queries = {
  session: (sql: Sql, session_id: string) =>
    sql.selectFrom('sessions').select('body').where('session_id', '=', session_id).compile(),

  sessions(sql: Sql, query: SessionQuery, before: number | null): CompiledQuery {
    let select = sql.selectFrom('sessions').select(['ord', 'body']);
    if (query.status !== undefined) select = select.where('status', '=', query.status);
    if (query.agent !== undefined) select = select.where('agent', '=', query.agent);
    if (query.target !== undefined) select = select.where('target', '=', query.target);
    if (before !== null) select = select.where('ord', '<', before);
    return select
      .orderBy('ord', 'desc')
      .limit(query.limit + 1)
      .compile();
  },

  unfinishedSessions: (sql: Sql) =>
    sql
      .selectFrom('sessions')
      .select('body')
      .where('status', 'in', ['starting', 'live', 'closing'])
      .orderBy('ord')
      .compile(),

  events: (sql: Sql, session_id: string, after: number, limit: number) =>
    sql
      .selectFrom('events')
      .select(['seq', 'at_ms', 'type', 'json'])
      .where('session_id', '=', session_id)
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(limit)
      .compile(),

  lastSeq: (sql: Sql, session_id: string) =>
    sql
      .selectFrom('events')
      .select((events) => events.fn.max('seq').as('last_seq'))
      .where('session_id', '=', session_id)
      .compile(),

  executionsById: (sql: Sql, execution_ids: readonly string[]) =>
    sql
      .selectFrom('executions')
      .select(['execution_id', 'body', 'input', 'output'])
      .where('execution_id', 'in', execution_ids)
      .compile(),

  executions(sql: Sql, query: ExecutionQuery, brief: boolean, before: number | null): CompiledQuery {
    let select = sql.selectFrom('executions').select(['ord', 'body']);
    if (!brief) select = select.select(['input', 'output']);
    if (query.workflow_id !== undefined) select = select.where('workflow_id', '=', query.workflow_id);
    if (query.session_id !== undefined) select = select.where('session_id', '=', query.session_id);
    if (query.target !== undefined) select = select.where('target', '=', query.target);
    if (query.status !== undefined) select = select.where('status', '=', query.status);
    if (before !== null) select = select.where('ord', '<', before);
    return select
      .orderBy('ord', 'desc')
      .limit(query.limit + 1)
      .compile();
  },

  workflow: (sql: Sql, workflow_id: string, limit: number) =>
    sql
      .selectFrom('executions')
      .select((one) => [
        'body',
        one
          .selectFrom('notes')
          .whereRef('notes.execution_id', '=', 'executions.execution_id')
          .select((notes) => notes.fn.countAll().as('count'))
          .as('notes'),
      ])
      .where('workflow_id', '=', workflow_id)
      .orderBy('ord')
      .limit(limit)
      .compile(),

  unfinishedExecutions: (sql: Sql) =>
    sql
      .selectFrom('executions')
      .select(['body', 'input', 'output'])
      .where('status', 'in', ['queued', 'running'])
      .orderBy('ord')
      .compile(),

  notes: (sql: Sql, execution_id: string) =>
    sql
      .selectFrom('notes')
      .select(['at_ms', 'text', 'data'])
      .where('execution_id', '=', execution_id)
      .orderBy('ord')
      .limit(NOTES_MAX)
      .compile(),

  claim: (sql: Sql, scope: string, key: string) =>
    sql
      .selectFrom('claims')
      .select(['scope', 'key', 'fingerprint', 'result', 'at_ms'])
      .where('scope', '=', scope)
      .where('key', '=', key)
      .compile(),

  keys: (sql: Sql) =>
    sql
      .selectFrom('keys')
      .select(['key_id', 'hash', 'name', 'scopes', 'created_at_ms', 'revoked_at_ms'])
      .orderBy('ord')
      .compile(),
};
