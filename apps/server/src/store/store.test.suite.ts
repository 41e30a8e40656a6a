// What every driver of the store must do. A driver's test calls `describeStore` with a way to open a fresh store.

import { type ExecutionResource, newId, type SessionResource } from '@parley/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClaimRow, Store, StoredEvent, StoreOptions } from './store.ts';

export function anExecution(more: Partial<ExecutionResource> = {}): ExecutionResource {
  return {
    execution_id: newId('execution'),
    workflow_id: newId('workflow'),
    target: 'support.answer',
    kind: 'skill',
    status: 'queued',
    created_at_ms: 1_700_000_000_000.5,
    ...more,
  };
}

export function aSession(more: Partial<SessionResource> = {}): SessionResource {
  return {
    session_id: newId('session'),
    workflow_id: newId('workflow'),
    execution_id: newId('execution'),
    agent: 'support',
    target: 'support.voice',
    status: 'starting',
    provider: 'openai',
    transport: 'websocket',
    model: 'm',
    voice: 'v',
    responder: 'model',
    tools: [],
    tags: ['a'],
    metadata: { ticket: '7', ключ: '✓' },
    created_at_ms: 1,
    last_seq: 0,
    turns: 0,
    tool_calls: 0,
    user_audio_ms: 0,
    reply_audio_ms: 0,
    ...more,
  };
}

export function anEvent(seq: number, text = 'hello'): StoredEvent {
  return { seq, at_ms: seq + 0.25, type: 'note', json: JSON.stringify({ seq, type: 'note', text }) };
}

function aClaim(more: Partial<ClaimRow> = {}): ClaimRow {
  return { scope: 'execute key_1', key: 'k', fingerprint: 'f', result: '{"execution_id":"exec_1"}', at_ms: 5, ...more };
}

export function describeStore(name: string, open: (options?: Partial<StoreOptions>) => Promise<Store>): void {
  describe(name, () => {
    let store: Store;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store.close());

    test('a session is read back as it was written, and as it was last updated', async () => {
      const session = aSession();
      expect(await store.commit([{ op: 'session.insert', session }])).toEqual({ ok: true });
      expect(await store.session(session.session_id)).toEqual(session);
      const closed = { ...session, status: 'closed' as const, closed_at_ms: 9, close_reason: 'done' };
      await store.commit([{ op: 'session.update', session: closed }]);
      expect(await store.session(session.session_id)).toEqual(closed);
      expect(await store.unfinishedSessions()).toEqual([]);
      expect(await store.session('sess_none')).toBeNull();
    });

    test('a read sees every unit committed before it was asked for', async () => {
      const executions = Array.from({ length: 50 }, () => anExecution());
      const commits = executions.map((execution) => store.commit([{ op: 'execution.insert', execution }]));
      const last = executions.at(-1) as ExecutionResource;
      expect(await store.execution(last.execution_id)).toEqual({ ...last, notes: [] });
      await Promise.all(commits);
    });

    test('sessions are listed newest first, filtered, page by page', async () => {
      const all = Array.from({ length: 5 }, (_, i) => aSession({ agent: i % 2 ? 'odd' : 'even' }));
      for (const session of all) await store.commit([{ op: 'session.insert', session }]);
      const first = await store.sessions({ limit: 2 });
      const second = await store.sessions({ limit: 2, cursor: first.next_cursor });
      const third = await store.sessions({ limit: 2, cursor: second.next_cursor });
      expect([...first.rows, ...second.rows, ...third.rows]).toEqual(all.toReversed());
      expect(third.next_cursor).toBeUndefined();
      expect((await store.sessions({ limit: 3, agent: 'even' })).next_cursor).toBeUndefined();
      expect((await store.sessions({ limit: 200, agent: 'odd' })).rows).toHaveLength(2);
      await expect(store.sessions({ limit: 201 })).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(store.sessions({ limit: 2, cursor: '??' })).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    test('a log is read from where the reader stopped, with its last seq', async () => {
      const events = Array.from({ length: 10 }, (_, i) => anEvent(i + 1));
      await store.commit([{ op: 'events.append', session_id: 's', events: events.slice(0, 6) }]);
      await store.commit([{ op: 'events.append', session_id: 's', events: events.slice(6) }]);
      expect(await store.events('s', 3, 4)).toEqual({ events: events.slice(3, 7), last_seq: 10 });
      expect(await store.events('s', 10, 4)).toEqual({ events: [], last_seq: 10 });
      expect(await store.events('other', 0, 4)).toEqual({ events: [], last_seq: 0 });
    });

    test('a page of large events ends early and loses none', async () => {
      const events = Array.from({ length: 12 }, (_, i) => anEvent(i + 1, 'x'.repeat(1_000_000)));
      await store.commit([{ op: 'events.append', session_id: 's', events }]);
      const first = await store.events('s', 0, 100);
      expect(first.events.length).toBeLessThan(12);
      const rest = await store.events('s', first.events.length, 100);
      expect([...first.events, ...rest.events].map((event) => event.seq)).toEqual(events.map((event) => event.seq));
    });

    test('the first end of an execution wins, and an update keeps the input', async () => {
      const execution = anExecution({ input: { a: [1, null, 'ü'] } });
      const { input: _, ...bare } = execution;
      await store.commit([{ op: 'execution.insert', execution }]);
      expect(await store.unfinishedExecutions()).toEqual([execution]);
      await store.commit([
        { op: 'execution.update', execution: { ...bare, status: 'succeeded', output: null } },
        { op: 'execution.update', execution: { ...bare, status: 'cancelled', reason: 'late' } },
      ]);
      expect(await store.execution(execution.execution_id)).toEqual({
        ...execution,
        status: 'succeeded',
        output: null,
        notes: [],
      });
      expect(await store.unfinishedExecutions()).toEqual([]);
    });

    test('a unit with a row that cannot be written is refused whole, and its neighbours are kept', async () => {
      const [a, b, c] = [anExecution(), anExecution(), anExecution()] as const;
      const results = await Promise.allSettled([
        store.commit([{ op: 'execution.insert', execution: a }]),
        store.commit([
          { op: 'execution.insert', execution: b },
          { op: 'execution.insert', execution: a },
        ]),
        store.commit([
          { op: 'execution.insert', execution: c },
          { op: 'session.update', session: aSession() },
        ]),
        store.commit([{ op: 'events.append', session_id: 's', events: [anEvent(1), anEvent(1)] }]),
        store.commit([{ op: 'events.append', session_id: 's', events: [anEvent(1)] }]),
      ]);
      const codes = results.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'ok'));
      expect(codes).toEqual(['ok', 'already_exists', 'not_found', 'already_exists', 'ok']);
      const there = await store.executionsById([a.execution_id, b.execution_id, c.execution_id]);
      expect(there).toEqual([a]);
      expect((await store.events('s', 0, 10)).last_seq).toBe(1);
    });

    test('of two units with one claim in one group the second gets what the first claimed', async () => {
      const [a, b] = [anExecution(), anExecution()] as const;
      const [first, second] = await Promise.all([
        store.commit([
          { op: 'claim.insert', claim: aClaim() },
          { op: 'execution.insert', execution: a },
        ]),
        store.commit([
          { op: 'claim.insert', claim: aClaim({ fingerprint: 'g' }) },
          { op: 'execution.insert', execution: b },
        ]),
      ]);
      expect([first, second]).toEqual([{ ok: true }, { ok: false, existing: aClaim() }]);
      expect(await store.execution(b.execution_id)).toBeNull();
      expect(await store.claim('execute key_1', 'k')).toEqual(aClaim());
      expect(await store.claim('execute key_1', 'other')).toBeNull();
      expect(await store.commit([{ op: 'claim.insert', claim: aClaim() }])).toEqual({ ok: false, existing: aClaim() });
    });

    test('a claim that is not the first write of its unit is refused', async () => {
      const execution = anExecution();
      const unit = store.commit([
        { op: 'execution.insert', execution },
        { op: 'claim.insert', claim: aClaim() },
      ]);
      await expect(unit).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await store.execution(execution.execution_id)).toBeNull();
    });

    test('executions are listed newest first, brief without their values, and a workflow oldest first', async () => {
      const workflow_id = newId('workflow');
      const all = Array.from({ length: 4 }, (_, i) =>
        anExecution({ workflow_id, input: i, output: `${i}`, status: i < 2 ? 'running' : 'failed' }),
      );
      for (const execution of [...all, anExecution()]) await store.commit([{ op: 'execution.insert', execution }]);
      const brief = all.map(({ input: _i, output: _o, ...one }) => one);
      const id = (all[0] as ExecutionResource).execution_id;
      await store.commit([{ op: 'note.insert', note: { execution_id: id, at_ms: 3, text: 't', data: '{"n":1}' } }]);
      const page = await store.executions({ workflow_id, limit: 3 });
      expect(page.rows).toEqual(all.toReversed().slice(0, 3));
      const next = await store.executions({ workflow_id, limit: 3, cursor: page.next_cursor }, true);
      expect(next).toEqual({ rows: [brief[0]] });
      expect(
        (await store.executions({ status: 'failed', target: 'support.answer', limit: 9 }, true)).rows,
      ).toHaveLength(2);
      expect(await store.workflow(workflow_id, 10)).toEqual(brief.map((one, i) => ({ ...one, notes: i ? [] : [{}] })));
      expect((await store.execution(id))?.notes).toEqual([{ at_ms: 3, text: 't', data: { n: 1 } }]);
      const lost = store.commit([{ op: 'note.insert', note: { execution_id: 'exec_none', at_ms: 3, text: 't' } }]);
      await expect(lost).rejects.toMatchObject({ code: 'not_found' });
    });

    test('a key is revoked once', async () => {
      const key = { key_id: 'key_1', hash: 'h', name: 'n', scopes: ['admin', 'start'], created_at_ms: 1 };
      await store.commit([{ op: 'key.insert', key }]);
      expect(await store.keys()).toEqual([key]);
      await store.commit([{ op: 'key.revoke', key_id: 'key_1', at_ms: 2 }]);
      await store.commit([{ op: 'key.revoke', key_id: 'key_1', at_ms: 3 }]);
      expect(await store.keys()).toEqual([{ ...key, revoked_at_ms: 2 }]);
    });

    test('more units than may wait are refused, and there is room again afterwards', async () => {
      const small = await open({ units_max: 3 });
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () => small.commit([{ op: 'execution.insert', execution: anExecution() }])),
      );
      expect(results.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
      expect(results[4]).toMatchObject({ reason: { code: 'resource_exhausted' } });
      expect(await small.commit([{ op: 'execution.insert', execution: anExecution() }])).toEqual({ ok: true });
      expect(small.stats()).toMatchObject({ units_waiting: 0, units: 4 });
      await small.close();
    });

    test('a full database refuses units with resource_exhausted, whole, and goes on answering', async () => {
      const small = await open({ database_bytes_max: 512 * 1024 });
      const execution = anExecution({ input: 'x'.repeat(600_000) });
      const [first, full, behind] = await Promise.allSettled([
        small.commit([{ op: 'session.insert', session: aSession() }]).then(async (ok) => {
          await small.keys();
          return ok;
        }),
        new Promise((resolve) => setImmediate(resolve)).then(() =>
          small.commit([
            { op: 'session.insert', session: aSession() },
            { op: 'execution.insert', execution },
          ]),
        ),
        new Promise((resolve) => setImmediate(resolve)).then(() =>
          small.commit([{ op: 'session.insert', session: aSession() }]),
        ),
      ]);
      expect(first).toMatchObject({ status: 'fulfilled' });
      expect(full).toMatchObject({ status: 'rejected', reason: { code: 'resource_exhausted' } });
      expect(behind.status).toBe('rejected');
      expect((await small.sessions({ limit: 10 })).rows).toHaveLength(1);
      expect(await small.commit([{ op: 'session.insert', session: aSession() }])).toEqual({ ok: true });
      await small.close();
    });

    test('close waits for what was committed, and later calls are refused', async () => {
      const other = await open();
      const commits = Array.from({ length: 20 }, () =>
        other.commit([{ op: 'execution.insert', execution: anExecution() }]),
      );
      await other.close();
      expect(await Promise.all(commits)).toHaveLength(20);
      await expect(other.commit([])).rejects.toMatchObject({ code: 'unavailable' });
      await expect(other.keys()).rejects.toMatchObject({ code: 'unavailable' });
    });
  });
}
