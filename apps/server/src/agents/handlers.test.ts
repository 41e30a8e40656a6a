// Handlers of sessions on agents, and the requests that agents make.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { skill, type TestAgent, TestServer } from './server.test.peer.ts';

const VOICE = { name: 'voice', provider: 'openai', transport: 'websocket', model: 'm', voice: 'v' };

async function withHandler(server: TestServer, instance_id = 'one'): Promise<TestAgent> {
  const agent = await server.agent({ instance_id, sessions: [VOICE] as never });
  const link = server.agents.placeHandler('support', 'voice');
  const declaration = server.agents.session('support', 'voice');
  if (!link || !declaration) throw new Error('the handler was not placed');
  const [workflow_id, execution_id] = ['wf_1', 'exec_root'];
  server.sessions.roots.set('sess_1', { workflow_id, execution_id });
  link.open({
    session_id: 'sess_1',
    session: 'voice',
    workflow_id,
    execution_id,
    declaration,
    tools: [],
    metadata: {},
  });
  expect(await agent.next('session.open')).toMatchObject({ session_id: 'sess_1', session: 'voice' });
  return agent;
}

test('a handler is placed, hears events, and its requests are answered once', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  expect(server.agents.sessionsOpen('support.voice')).toBe(1);
  agent.send({ type: 'session.say', request_id: 'a', session_id: 'sess_1', text: 'hello' });
  expect(await agent.next('reply')).toEqual({
    type: 'reply',
    request_id: 'a',
    result: { interrupted: false, spoken_text: 'hello' },
  });
  agent.send({ type: 'session.inject', request_id: 'b', session_id: 'sess_1', text: 'note' });
  expect(await agent.next('reply')).toEqual({ type: 'reply', request_id: 'b', result: null });
  agent.send({ type: 'session.update', request_id: 'c', session_id: 'sess_1', voice: 'cedar' });
  await agent.next('reply');
  agent.send({ type: 'session.close', request_id: 'd', session_id: 'sess_1', reason: 'done' });
  await agent.next('reply');
  expect(server.sessions.calls).toMatchObject([
    ['say', 'sess_1', 'hello'],
    ['inject', 'sess_1', 'note', false],
    ['update', 'sess_1', { voice: 'cedar' }],
    ['close', 'sess_1', 'done'],
  ]);
  agent.send({ type: 'session.handled', session_id: 'sess_1' });
  expect(await server.sessions.called('handled')).toEqual(['handled', 'sess_1', undefined]);
  expect(server.agents.sessionsOpen('support.voice')).toBe(0);
});

test('a link may touch only sessions whose handler it runs', async () => {
  await using server = await TestServer.open();
  await withHandler(server);
  const other = await server.agent({ instance_id: 'two' });
  other.send({ type: 'session.say', request_id: 'a', session_id: 'sess_1', text: 'hello' });
  expect((await other.next('reply')).error).toMatchObject({ code: 'permission_denied' });
  other.send({ type: 'function.call', request_id: 'b', session_id: 'sess_1', target: 'support.look', input: {} });
  expect((await other.next('reply')).error).toMatchObject({ code: 'permission_denied' });
  other.send({ type: 'session.handled', session_id: 'sess_1' });
  await other.settle();
  expect(server.sessions.calls).toEqual([]);
});

test('a handler that returns after its session was closed is no mistake', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  const closed = { seq: 9, at_ms: 1, type: 'session.closed', reason: 'done' };
  const link = server.links[0];
  link?.event('sess_1', closed as never);
  await agent.next('session.event');
  expect(server.agents.sessionsOpen('support.voice')).toBe(0);
  agent.send({ type: 'session.handled', session_id: 'sess_1' });
  await agent.settle();
  expect(agent.frames).toEqual([]);
});

test('the sessions of a cut link wait for the same instance, which goes on where it was', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.cut();
  const lost = await server.sessions.called('handlerLost');
  expect(lost).toEqual(['handlerLost', server.links[0]?.link_id, ['sess_1'], 'the agent link was closed with 1006']);
  const back = await server.agent({
    instance_id: 'one',
    sessions: [VOICE] as never,
    sessions_open: [
      { session_id: 'sess_1', after_seq: 41 },
      { session_id: 'sess_foreign', after_seq: 1 },
    ],
  });
  expect(await server.sessions.called('handlerResumed')).toEqual(['handlerResumed', 'sess_1', 41, server.links[1]]);
  expect((await back.next('agent.error')).error).toMatchObject({
    code: 'not_found',
    details: { session_id: 'sess_foreign' },
  });
  back.send({ type: 'session.say', request_id: 'a', session_id: 'sess_1', text: 'still here' });
  expect((await back.next('reply')).error).toBeUndefined();
});

test('a handler that its instance came back without is reported', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.send({ type: 'session.say', request_id: 'a', session_id: 'sess_1', text: 'I have it' });
  await agent.next('reply');
  agent.cut();
  await server.ends[0];
  await server.agent({ instance_id: 'one' });
  expect(await server.sessions.called('handled')).toMatchObject(['handled', 'sess_1', { code: 'aborted' }]);
});

test('an open that a cut link took with it is said again to the same instance, once it is back', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.cut();
  await server.ends[0];
  const back = await server.agent({ instance_id: 'one', sessions: [VOICE] as never });
  expect(await back.next('session.open')).toMatchObject({ session_id: 'sess_1', session: 'voice' });
  expect(await server.sessions.called('handlerResumed')).toEqual(['handlerResumed', 'sess_1', 0, server.links[1]]);
  expect(server.agents.sessionsOpen('support.voice')).toBe(1);
  // Lost once more; then heard, and never said again.
  back.cut();
  await server.ends[1];
  const again = await server.agent({ instance_id: 'one', sessions: [VOICE] as never });
  await again.next('session.open');
  again.cut();
  await server.ends[2];
  const sessions_open = [{ session_id: 'sess_1', after_seq: 3 }];
  const named = await server.agent({ instance_id: 'one', sessions: [VOICE] as never, sessions_open });
  await named.settle();
  expect(named.frames).toEqual([]);
  named.cut();
  await server.ends[3];
  const without = await server.agent({ instance_id: 'one', sessions: [VOICE] as never });
  expect(await server.sessions.called('handled')).toMatchObject(['handled', 'sess_1', { code: 'aborted' }]);
  await without.settle();
  expect(without.frames).toEqual([]);
});

test('an open that was lost is not said to another instance, and not after the session was closed', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  server.links[0]?.event('sess_1', { seq: 9, at_ms: 1, type: 'session.closed', reason: 'done' } as never);
  await agent.next('session.event');
  agent.cut();
  await server.ends[0];
  for (const instance_id of ['two', 'one']) {
    const other = await server.agent({ instance_id, sessions: [VOICE] as never });
    await other.settle();
    expect(other.frames).toEqual([]);
  }
  expect(server.sessions.calls.map(([name]) => name)).toEqual(['handlerLost']);
});

test('a handler of a draining agent calls functions of that agent', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.send({ type: 'agent.drain' });
  await agent.settle();
  agent.send({ type: 'function.call', request_id: 'a', session_id: 'sess_1', target: 'support.look', input: {} });
  const dispatch = await agent.accept();
  agent.succeed(dispatch.execution_id, { n: 2 });
  expect(await agent.next('reply')).toEqual({ type: 'reply', request_id: 'a', result: { n: 2 } });
});

test('a handler whose instance does not come back is reported', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.cut();
  await server.ends[0];
  server.clock.advance(21_000);
  expect(await server.sessions.called('handled')).toMatchObject(['handled', 'sess_1', { code: 'unavailable' }]);
});

test('a handler calls a function as a child of its session', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.send({ type: 'function.call', request_id: 'a', session_id: 'sess_1', target: 'support.look', input: { n: 1 } });
  const dispatch = await agent.accept();
  expect(dispatch).toMatchObject({ workflow_id: 'wf_1', parent_execution_id: 'exec_root', session_id: 'sess_1' });
  agent.succeed(dispatch.execution_id, { n: 2 });
  expect(await agent.next('reply')).toEqual({ type: 'reply', request_id: 'a', result: { n: 2 } });
});

test('an execution calls a function as its child, and a failure comes back as an error', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ functions: [skill('look'), skill('think')] });
  const root = await server.executions.start({ target: 'support.think', input: {} });
  await agent.accept();
  const parent_execution_id = root.execution_id;
  agent.send({ type: 'function.call', request_id: 'a', parent_execution_id, target: 'support.look', input: {} });
  const child = await agent.accept();
  expect(child).toMatchObject({ parent_execution_id, workflow_id: root.workflow_id });
  const error = { code: 'out_of_range' as const, message: 'no such shelf', retryable: false };
  agent.send({ type: 'execution.result', execution_id: child.execution_id, status: 'failed', error });
  expect(await agent.next('reply')).toEqual({ type: 'reply', request_id: 'a', error });
  agent.succeed(root.execution_id, 'done');
  await server.executions.wait(root.execution_id, 1000);
  const workflow = await server.executions.workflow(root.workflow_id);
  expect(workflow).toMatchObject({ status: 'succeeded', total_nodes: 2, max_depth: 1 });
});

test('a call needs a parent that the caller runs', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const other = await server.agent({ agent: 'other' });
  const { execution_id } = await server.executions.start({ target: 'support.look', input: {} });
  await agent.accept();
  const call = { type: 'function.call', target: 'support.look', input: {} } as const;
  other.send({ ...call, request_id: 'a', parent_execution_id: execution_id });
  expect((await other.next('reply')).error).toMatchObject({ code: 'permission_denied' });
  other.send({ ...call, request_id: 'b' });
  expect((await other.next('reply')).error).toMatchObject({ code: 'invalid_argument' });
});

test('a call that nobody waits for is cancelled', async () => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.send({ type: 'function.call', request_id: 'a', session_id: 'sess_1', target: 'support.look', input: {} });
  const { execution_id } = await agent.accept();
  agent.send({ type: 'function.cancel', request_id: 'a' });
  expect(await agent.next('execution.cancel')).toMatchObject({ execution_id });
  expect((await agent.next('reply')).error).toMatchObject({ code: 'cancelled' });
  expect(await server.executions.get(execution_id)).toMatchObject({ status: 'cancelled' });
});

test('requests in flight are limited', async () => {
  await using server = await TestServer.open({ agents: { requests_max: 1 } });
  const agent = await withHandler(server);
  const call = { type: 'function.call', session_id: 'sess_1', target: 'support.look', input: {} } as const;
  agent.send({ ...call, request_id: 'a' });
  agent.send({ ...call, request_id: 'b' });
  const refused = await agent.next('reply');
  expect(refused).toMatchObject({ request_id: 'b', error: { code: 'resource_exhausted', details: { limit: 1 } } });
  const { execution_id } = await agent.accept();
  agent.succeed(execution_id, 1);
  expect(await agent.next('reply')).toMatchObject({ request_id: 'a', result: 1 });
});

test.for([
  new ParleyError('failed_precondition', 'session sess_1 is closing'),
  new ParleyError('internal', 'the store failed'),
])('a handler that cannot go on is told that its session is gone, whatever the reason: $message', async (reason) => {
  await using server = await TestServer.open();
  const agent = await withHandler(server);
  agent.cut();
  await server.ends[0];
  server.sessions.unresumable = reason;
  const sessions_open = [{ session_id: 'sess_1', after_seq: 3 }];
  const back = await server.agent({ instance_id: 'one', sessions: [VOICE] as never, sessions_open });
  expect((await back.next('agent.error')).error).toEqual({
    code: 'not_found',
    message: reason.message,
    retryable: false,
    details: { session_id: 'sess_1' },
  });
  expect(server.agents.sessionsOpen('support.voice')).toBe(0);
});
