// One execution from start to end, and every other way in which it can end.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { skill, TestServer } from '../agents/server.test.peer.ts';
import { GatedStore } from './gated-store.test.peer.ts';
import type { ExecutionEvent } from './watchers.ts';

const LOOK = { target: 'support.look', input: {} };

test('a happy execution is two units on disk: its row before it leaves, its end before anybody hears of it', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const agent = await server.agent();
  gate.shut();
  const starting = server.executions.start({ target: 'support.look', input: { order: 7 } });
  await gate.came(1);
  await agent.settle();
  expect(agent.frames).toEqual([]);
  gate.open();
  const started = await starting;
  expect(started).toMatchObject({ status: 'queued', kind: 'skill', input: { order: 7 } });
  expect(await agent.accept()).toMatchObject({
    execution_id: started.execution_id,
    workflow_id: started.workflow_id,
    function: 'look',
    input: { order: 7 },
    timeout_ms: 90_000,
  });
  await agent.settle();
  expect(await server.executions.get(started.execution_id)).toMatchObject({ status: 'running' });
  gate.shut();
  const waited = server.executions.wait(started.execution_id, 60_000);
  let heard = false;
  void waited.then(() => (heard = true));
  agent.succeed(started.execution_id, { found: true });
  await gate.came(2);
  await agent.settle();
  expect(heard).toBe(false);
  expect(agent.frames).toEqual([]);
  expect(await server.executions.get(started.execution_id)).toMatchObject({ status: 'running' });
  gate.open();
  expect(await waited).toMatchObject({ status: 'succeeded', output: { found: true }, duration_ms: 0 });
  expect(await agent.next('execution.settled')).toMatchObject({ execution_id: started.execution_id });
  expect(await server.executions.get(started.execution_id)).toMatchObject({
    status: 'succeeded',
    input: { order: 7 },
    output: { found: true },
  });
  expect(gate.units).toHaveLength(2);
  expect(server.executions.running).toBe(0);
});

test('functions and inputs that do not fit are refused before anything is written', async () => {
  await using server = await TestServer.open();
  const input_schema = { type: 'object', properties: { order: { type: 'number' } }, required: ['order'] };
  await server.agent({ functions: [skill('look', { input_schema })] });
  const start = (target: string, input: unknown) => server.executions.start({ target, input });
  await expect(start('nobody.look', {})).rejects.toMatchObject({ code: 'not_found' });
  await expect(start('support.sing', {})).rejects.toMatchObject({ code: 'not_found' });
  await expect(start('support', {})).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(start('support.look', {})).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(start('support.look', { order: 1, text: 'x'.repeat(1024 * 1024) })).rejects.toMatchObject({
    code: 'resource_exhausted',
    retryable: false,
  });
  await expect(server.executions.start({ ...LOOK, execution_id: 'an id' })).rejects.toMatchObject({
    code: 'invalid_argument',
    details: { path: 'execution_id' },
  });
  expect(server.store.stats().units).toBe(0);
  expect(server.executions.running).toBe(0);
});

test('a row that could not be written is an execution that never was', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const agent = await server.agent({ capacity: { executions: 1 } });
  gate.refuse('execution.insert', 1, new ParleyError('unavailable', 'the disk is full'));
  await expect(server.executions.start(LOOK)).rejects.toMatchObject({ code: 'unavailable' });
  expect(server.executions.running).toBe(0);
  await server.executions.start(LOOK);
  await agent.accept();
});

test('an end that could not be written is tried again, and told when it is on disk', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const agent = await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  gate.refuse('execution.update', 1, new ParleyError('unavailable', 'the disk is full'));
  agent.succeed(execution_id, 1);
  await agent.settle();
  expect(agent.frames).toEqual([]);
  agent.succeed(execution_id, 2);
  await agent.settle();
  server.clock.advance(1100);
  expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'succeeded', output: 1 });
  await agent.next('execution.settled');
});

test('the first end wins; a result that comes again, or is of nobody, is answered so that it is forgotten', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  agent.succeed(execution_id, 'first');
  agent.succeed(execution_id, 'second');
  await agent.next('execution.settled');
  agent.succeed(execution_id, 'third');
  await agent.next('execution.settled');
  agent.succeed('exec_of_nobody', 1);
  expect(await agent.next('execution.settled')).toMatchObject({ execution_id: 'exec_of_nobody' });
  expect(await server.executions.get(execution_id)).toMatchObject({ output: 'first' });
});

test('only the instance that runs an execution may end it or note on it', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const other = await server.agent({ agent: 'other' });
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  other.succeed(execution_id, 'stolen');
  expect((await other.next('agent.error')).error).toMatchObject({ code: 'permission_denied' });
  other.send({ type: 'execution.note', execution_id, text: 'hello' });
  expect((await other.next('agent.error')).error).toMatchObject({ code: 'permission_denied' });
  expect(await server.executions.get(execution_id)).not.toHaveProperty('output');
});

test('an agent that says why it failed is believed; one that does not has an error all the same', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const error = { code: 'out_of_range' as const, message: 'no such shelf', retryable: false };
  for (const said of [error, undefined]) {
    const { execution_id } = await server.executions.start(LOOK);
    await agent.accept();
    agent.send({ type: 'execution.result', execution_id, status: 'failed', ...(said ? { error: said } : {}) });
    const ended = await server.executions.wait(execution_id, 60_000);
    expect(ended).toMatchObject({ status: 'failed', error: said ?? { code: 'unknown' } });
  }
});

test('an output past the limit is a failure and is not kept', async () => {
  await using server = await TestServer.open({ executions: { payload_bytes_max: 1000 } });
  const agent = await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  agent.succeed(execution_id, 'x'.repeat(2000));
  const ended = await server.executions.wait(execution_id, 60_000);
  expect(ended).toMatchObject({ status: 'failed', reason: 'output_too_large', error: { code: 'resource_exhausted' } });
  expect(ended).not.toHaveProperty('output');
});

test('an execution that does not end in time is timed out, its agent is told, and a late result changes nothing', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ functions: [skill('look', { timeout_ms: 5000 })] });
  const slow = await server.executions.start(LOOK);
  const hasty = await server.executions.start({ ...LOOK, timeout_ms: 1000 });
  expect((await agent.accept()).timeout_ms).toBe(5000);
  expect((await agent.accept()).timeout_ms).toBe(1000);
  await agent.settle();
  server.clock.advance(1100);
  expect(await agent.next('execution.cancel')).toEqual({
    type: 'execution.cancel',
    execution_id: hasty.execution_id,
    reason: 'timeout',
  });
  expect(await server.executions.ended(hasty.execution_id)).toMatchObject({
    status: 'timed_out',
    error: { code: 'deadline_exceeded' },
  });
  agent.succeed(hasty.execution_id, 'late');
  await agent.next('execution.settled');
  expect(await server.executions.get(hasty.execution_id)).not.toHaveProperty('output');
  expect(await server.executions.get(slow.execution_id)).toMatchObject({ status: 'running' });
});

test('a cancelled execution takes along what it called, and not what called it', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const root = await server.executions.start(LOOK);
  const middle = await server.executions.start({ ...LOOK, parent_execution_id: root.execution_id });
  const leaf = await server.executions.start({ ...LOOK, parent_execution_id: middle.execution_id });
  for (let i = 0; i < 3; i++) await agent.accept();
  await agent.settle();
  expect(leaf.workflow_id).toBe(root.workflow_id);
  const cancelled = await server.executions.cancel(middle.execution_id, 'not needed');
  expect(cancelled).toMatchObject({ status: 'cancelled', reason: 'not needed', error: { code: 'cancelled' } });
  expect((await agent.next('execution.cancel')).execution_id).toBe(middle.execution_id);
  expect((await agent.next('execution.cancel')).execution_id).toBe(leaf.execution_id);
  expect(await server.executions.ended(leaf.execution_id)).toMatchObject({ status: 'cancelled' });
  expect(await server.executions.get(root.execution_id)).toMatchObject({ status: 'running' });
  expect(await server.executions.cancel(leaf.execution_id, 'again')).toMatchObject({
    reason: 'its caller ended: not needed',
  });
  await expect(server.executions.cancel('exec_of_nobody', 'why not')).rejects.toMatchObject({ code: 'not_found' });
});

test('a child whose parent is cancelled while it is written does not run on', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  await server.agent();
  const root = await server.executions.start(LOOK);
  gate.shut();
  const starting = server.executions.start({ ...LOOK, parent_execution_id: root.execution_id });
  await gate.came(2);
  const cancelling = server.executions.cancel(root.execution_id, 'stop');
  gate.open();
  await cancelling;
  const child = await starting;
  expect(await server.executions.ended(child.execution_id)).toMatchObject({ status: 'cancelled' });
  expect(await server.store.execution(child.execution_id)).toMatchObject({ status: 'cancelled' });
});

test('executions of a function past max_concurrent wait their turn and do not hold up others', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ functions: [skill('look', { max_concurrent: 1 }), skill('free')] });
  const first = await server.executions.start(LOOK);
  const second = await server.executions.start(LOOK);
  const third = await server.executions.start(LOOK);
  const other = await server.executions.start({ target: 'support.free', input: {} });
  expect([second.reason, third.reason]).toEqual(['waiting_for_agent', 'waiting_for_agent']);
  expect((await agent.accept()).execution_id).toBe(first.execution_id);
  expect((await agent.accept()).execution_id).toBe(other.execution_id);
  agent.succeed(first.execution_id, 1);
  expect((await agent.accept()).execution_id).toBe(second.execution_id);
  await agent.settle();
  expect(await server.executions.get(second.execution_id)).not.toHaveProperty('reason');
  await server.executions.cancel(third.execution_id, 'enough');
  agent.succeed(second.execution_id, 2);
  await server.executions.wait(second.execution_id, 60_000);
  await agent.settle();
  expect(agent.frames.filter((frame) => frame.type === 'execution.dispatch')).toEqual([]);
});

test('a caller that waits takes no room: an agent with room for one can call itself', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ capacity: { executions: 1 } });
  const root = await server.executions.start(LOOK);
  const next = await server.executions.start(LOOK);
  const { execution_id: parent_execution_id } = await agent.accept();
  agent.send({ type: 'function.call', request_id: 'a', parent_execution_id, target: 'support.look', input: {} });
  const child = await agent.accept();
  expect(child.parent_execution_id).toBe(root.execution_id);
  agent.send({
    type: 'function.call',
    request_id: 'b',
    parent_execution_id: child.execution_id,
    target: 'support.look',
    input: {},
  });
  const leaf = await agent.accept();
  expect(leaf.parent_execution_id).toBe(child.execution_id);
  agent.succeed(leaf.execution_id, 1);
  agent.succeed(child.execution_id, 2);
  expect(await agent.next('reply')).toMatchObject({ request_id: 'b', result: 1 });
  expect(await agent.next('reply')).toMatchObject({ request_id: 'a', result: 2 });
  await agent.settle();
  expect(agent.frames.filter((frame) => frame.type === 'execution.dispatch')).toEqual([]);
  agent.succeed(root.execution_id, 3);
  expect((await agent.accept()).execution_id).toBe(next.execution_id);
});

test('past the limit of unfinished executions the answer is resource_exhausted', async () => {
  await using server = await TestServer.open({ executions: { unfinished_max: 2 } });
  await server.agent();
  const first = await server.executions.start(LOOK);
  await server.executions.start(LOOK);
  await expect(server.executions.start(LOOK)).rejects.toMatchObject({
    code: 'resource_exhausted',
    retryAfterMs: 1000,
    details: { limit: 2, current: 2 },
  });
  await server.executions.cancel(first.execution_id, 'room');
  await server.executions.start(LOOK);
});

test('a workflow that calls itself without end is stopped at its depth', async () => {
  await using server = await TestServer.open({ executions: { depth_max: 2 } });
  await server.agent();
  const root = await server.executions.start(LOOK);
  const child = await server.executions.start({ ...LOOK, parent_execution_id: root.execution_id });
  await expect(server.executions.start({ ...LOOK, parent_execution_id: child.execution_id })).rejects.toMatchObject({
    code: 'resource_exhausted',
  });
});

test('the same idempotency key gives the same execution, also at the same time', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const claim = { scope: 'execute:key_1', key: 'order-7', fingerprint: 'f' };
  const [one, two] = await Promise.all([server.executions.start(LOOK, claim), server.executions.start(LOOK, claim)]);
  expect(two.execution_id).toBe(one.execution_id);
  const { execution_id } = await agent.accept();
  agent.succeed(execution_id, 1);
  await server.executions.wait(execution_id, 60_000);
  expect(await server.executions.start(LOOK, claim)).toMatchObject({ execution_id, status: 'succeeded' });
  await expect(server.executions.start(LOOK, { ...claim, fingerprint: 'g' })).rejects.toMatchObject({
    code: 'already_exists',
  });
  expect(server.executions.running).toBe(0);
});

test('a wait that is over answers with what is known, and waiters are limited', async () => {
  await using server = await TestServer.open({ executions: { waiters_max: 1 } });
  await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  const waiting = server.executions.wait(execution_id, 1000);
  await expect(server.executions.wait(execution_id, 1000)).rejects.toMatchObject({ code: 'resource_exhausted' });
  expect(await server.executions.wait(execution_id, 0)).toMatchObject({ status: 'queued' });
  server.clock.advance(1100);
  expect(await waiting).toMatchObject({ execution_id, status: 'queued' });
  expect(server.executions.waiting).toBe(0);
  await expect(server.executions.wait('exec_of_nobody', 1000)).rejects.toMatchObject({ code: 'not_found' });
});

test('a listener hears what happens, in order, and nothing after it has left', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  const heard: ExecutionEvent[] = [];
  const leave = server.executions.subscribe(execution_id, (event) => heard.push(event));
  await agent.accept();
  agent.send({ type: 'execution.note', execution_id, text: 'half way', data: { percent: 50 } });
  await agent.settle();
  await server.executions.note(execution_id, 'from outside');
  agent.succeed(execution_id, 1);
  await server.executions.wait(execution_id, 60_000);
  expect(heard.map((event) => event.type)).toEqual([
    'execution.running',
    'execution.note',
    'execution.note',
    'execution.succeeded',
  ]);
  expect(heard[1]).toMatchObject({ text: 'half way', data: { percent: 50 } });
  expect(heard[3]).toMatchObject({ execution: { output: 1 } });
  expect((await server.executions.get(execution_id)).notes).toHaveLength(2);
  leave();
  await server.executions.note(execution_id, 'afterwards');
  expect(heard).toHaveLength(4);
});

test('notes are limited in size and number', async () => {
  await using server = await TestServer.open({ executions: { notes_max: 1 } });
  await server.agent();
  const { execution_id } = await server.executions.start(LOOK);
  await expect(server.executions.note(execution_id, '')).rejects.toMatchObject({ code: 'invalid_argument' });
  await server.executions.note(execution_id, 'one');
  await expect(server.executions.note(execution_id, 'two')).rejects.toMatchObject({ code: 'resource_exhausted' });
  await expect(server.executions.note('exec_of_nobody', 'x')).rejects.toMatchObject({ code: 'not_found' });
});

test('lists, batches and workflows show what memory knows better than the rows', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ capacity: { executions: 1 } });
  const root = await server.executions.start(LOOK);
  const child = await server.executions.start({ ...LOOK, parent_execution_id: root.execution_id });
  const queued = await server.executions.start(LOOK);
  await agent.accept();
  await agent.accept();
  await agent.settle();
  const ids = (page: { executions: { execution_id: string }[] }) =>
    page.executions.map((one) => one.execution_id).sort();
  const running = [root.execution_id, child.execution_id].sort();
  expect(ids(await server.executions.list({ status: 'running', limit: 10 }))).toEqual(running);
  expect(ids(await server.executions.list({ status: 'queued', limit: 10 }))).toEqual([queued.execution_id]);
  const first = await server.executions.list({ status: 'running', limit: 1 });
  const second = await server.executions.list({ status: 'running', limit: 1, cursor: first.next_cursor });
  expect([...ids(first), ...ids(second)].sort()).toEqual(running);
  const all = await server.executions.list({ limit: 10 });
  expect(all.executions.map((one) => one.status).sort()).toEqual(['queued', 'running', 'running']);
  expect(await server.executions.batch([queued.execution_id, 'exec_of_nobody'])).toMatchObject({
    executions: [{ status: 'queued', reason: 'waiting_for_agent' }],
    missing: ['exec_of_nobody'],
  });
  expect(await server.executions.workflow(root.workflow_id)).toMatchObject({
    status: 'running',
    nodes: [{ status: 'running' }, { status: 'running', depth: 1 }],
  });
  await expect(server.executions.workflow('wf_of_nobody')).rejects.toMatchObject({ code: 'not_found' });
});

test('a draining server finishes what was given out and what that calls, and takes nothing else', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ capacity: { executions: 2 } });
  const root = await server.executions.start(LOOK);
  const second = await server.executions.start(LOOK);
  const left = await server.executions.start(LOOK);
  await agent.accept();
  await agent.accept();
  const drained = server.executions.drain(10_000);
  await expect(server.executions.start(LOOK)).rejects.toMatchObject({ code: 'unavailable' });
  agent.succeed(second.execution_id, 1);
  const child = await server.executions.start({ ...LOOK, parent_execution_id: root.execution_id });
  expect((await agent.accept()).execution_id).toBe(child.execution_id);
  agent.succeed(child.execution_id, 1);
  agent.succeed(root.execution_id, 1);
  expect(await drained).toBe(1);
  expect(await server.store.execution(left.execution_id)).toMatchObject({ status: 'queued' });
});

test('a drain ends at its deadline with the number of executions that are left', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  await server.executions.start(LOOK);
  await agent.accept();
  const drained = server.executions.drain(1000);
  server.clock.advance(1100);
  expect(await drained).toBe(1);
});
