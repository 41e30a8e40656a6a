// Agents and servers that vanish and come back: nothing is lost silently and nothing runs twice.

import { expect, test } from 'vitest';
import { skill, TestServer } from '../agents/server.test.peer.ts';
import { GatedStore } from './gated-store.test.peer.ts';

const LOOK = { target: 'support.look', input: { n: 1 } };

test('an execution of a cut link goes on when its instance comes back with it', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one' });
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  await agent.settle();
  agent.cut();
  await server.ends[0];
  const back = await server.dial();
  back.register({ instance_id: 'one', in_flight: [execution_id, 'exec_of_nobody'] });
  expect((await back.next('agent.registered')).wanted).toEqual([execution_id]);
  back.succeed(execution_id, 'done');
  expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'succeeded', output: 'done' });
  await back.next('execution.settled');
});

test('an execution whose acceptance was lost with the link goes on when its instance has it', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one' });
  const { execution_id } = await server.executions.start(LOOK);
  await agent.next('execution.dispatch');
  agent.cut();
  await server.ends[0];
  const back = await server.agent({ instance_id: 'one', in_flight: [execution_id] });
  await back.settle();
  expect(back.frames).toEqual([]);
  expect(await server.executions.get(execution_id)).toMatchObject({ status: 'running' });
});

test('an execution that never reached its instance is sent to it again', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one' });
  const { execution_id } = await server.executions.start(LOOK);
  await agent.next('execution.dispatch');
  agent.cut();
  await server.ends[0];
  const other = await server.agent({ instance_id: 'two' });
  const back = await server.agent({ instance_id: 'one' });
  expect(await back.accept()).toMatchObject({ execution_id, input: { n: 1 } });
  await other.settle();
  expect(other.frames).toEqual([]);
});

test('an instance that comes back without what it had accepted leaves an end that nobody knows', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one' });
  const { execution_id } = await server.executions.start(LOOK);
  await agent.accept();
  await agent.settle();
  agent.cut();
  await server.ends[0];
  const back = await server.agent({ instance_id: 'one' });
  expect(await server.executions.ended(execution_id)).toMatchObject({
    status: 'unknown',
    reason: 'agent_restarted',
    error: { code: 'unavailable' },
  });
  await back.settle();
  expect(back.frames).toEqual([]);
});

test('what may have been started is not given to another instance, accepted or not', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one' });
  const accepted = await server.executions.start(LOOK);
  const sent = await server.executions.start(LOOK);
  await agent.accept();
  await agent.settle();
  agent.cut();
  await server.ends[0];
  const other = await server.agent({ instance_id: 'two' });
  server.clock.advance(21_000);
  for (const { execution_id } of [accepted, sent]) {
    expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'unknown', reason: 'agent_lost' });
  }
  await other.settle();
  expect(other.frames).toEqual([]);
  // It was only frozen, and is told to forget.
  const back = await server.dial();
  back.register({ instance_id: 'one', in_flight: [accepted.execution_id] });
  expect((await back.next('agent.registered')).wanted).toEqual([]);
  back.succeed(accepted.execution_id, 'late');
  await back.next('execution.settled');
  expect(await server.executions.get(accepted.execution_id)).toMatchObject({ status: 'unknown' });
});

test('what an agent did not accept before it closed its link goes to another instance at once', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ instance_id: 'one', capacity: { executions: 5 } });
  const accepted = await server.executions.start(LOOK);
  const sent = await server.executions.start(LOOK);
  await agent.accept();
  await agent.next('execution.dispatch');
  await agent.close();
  const other = await server.agent({ instance_id: 'two' });
  expect((await other.accept()).execution_id).toBe(sent.execution_id);
  await other.settle();
  expect(other.frames).toEqual([]);
  server.clock.advance(19_000);
  expect(await server.executions.get(accepted.execution_id)).toMatchObject({ status: 'running' });
});

test('executions wait for an agent that went a moment ago, and are refused when it is gone', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  agent.cut();
  await server.ends[0];
  const { execution_id } = await server.executions.start(LOOK);
  server.clock.advance(10_000);
  const back = await server.agent();
  expect((await back.accept()).execution_id).toBe(execution_id);
  back.cut();
  await server.ends[1];
  server.clock.advance(21_000);
  await expect(server.executions.start(LOOK)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
});

test('an instance that comes back without a function that waits leaves it to time out', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  agent.cut();
  await server.ends[0];
  const { execution_id } = await server.executions.start({ ...LOOK, timeout_ms: 5000 });
  const back = await server.agent({ functions: [skill('other')] });
  await back.settle();
  server.clock.advance(5100);
  expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'timed_out' });
  expect(back.frames).toEqual([]);
});

test('after a restart: what waited is given out, what an agent still has goes on, the rest is unknown', async () => {
  await using disk = await GatedStore.open();
  const { store } = disk;
  const ids: string[] = [];
  {
    await using before = await TestServer.open({ store });
    const agent = await before.agent({ instance_id: 'one', capacity: { executions: 2 } });
    for (let i = 0; i < 3; i++) ids.push((await before.executions.start(LOOK)).execution_id);
    await agent.accept();
    await agent.accept();
    await agent.settle();
  }
  const [has, lost, waiting] = ids as [string, string, string];
  await store.commit([
    {
      op: 'execution.insert',
      execution: {
        execution_id: 'exec_session',
        workflow_id: 'wf_session',
        target: 'support.voice',
        kind: 'session',
        status: 'running',
        created_at_ms: 1,
      },
    },
  ]);
  await using after = await TestServer.open({ store });
  const recovered = await after.executions.recover();
  expect(recovered).toMatchObject({ recovered: 3, sessions: [{ execution_id: 'exec_session' }] });
  const agent = await after.dial();
  agent.register({ instance_id: 'one', in_flight: [has] });
  expect((await agent.next('agent.registered')).wanted).toEqual([has]);
  expect(await agent.accept()).toMatchObject({ execution_id: waiting, input: { n: 1 } });
  agent.succeed(has, 'kept');
  expect(await after.executions.ended(has)).toMatchObject({ status: 'succeeded', output: 'kept' });
  expect(await after.executions.get(lost)).toMatchObject({ status: 'queued' });
  after.clock.advance(21_000);
  expect(await after.executions.ended(lost)).toMatchObject({ status: 'unknown', reason: 'server_restarted' });
  await agent.settle();
  expect(agent.frames.filter((frame) => frame.type === 'execution.dispatch')).toEqual([]);
  expect(await after.executions.get('exec_session')).toMatchObject({ status: 'running' });
  await expect(after.executions.cancel('exec_session', 'x')).rejects.toMatchObject({ code: 'failed_precondition' });
});

test('an execution that was given out after it had waited counts as given out after a restart', async () => {
  await using disk = await GatedStore.open();
  const { store } = disk;
  let execution_id = '';
  {
    await using before = await TestServer.open({ store });
    const agent = await before.agent();
    agent.cut();
    await before.ends[0];
    ({ execution_id } = await before.executions.start(LOOK));
    expect(await store.execution(execution_id)).toMatchObject({ reason: 'waiting_for_agent' });
    const back = await before.agent();
    await back.next('execution.dispatch');
  }
  await using after = await TestServer.open({ store });
  await after.executions.recover();
  const agent = await after.agent();
  await agent.settle();
  expect(agent.frames).toEqual([]);
  after.clock.advance(21_000);
  expect(await after.executions.ended(execution_id)).toMatchObject({ status: 'unknown' });
});

test('a recovered parent that is cancelled takes its recovered children along', async () => {
  await using disk = await GatedStore.open();
  const { store } = disk;
  let parent = '';
  let child = '';
  {
    await using before = await TestServer.open({ store });
    await before.agent();
    parent = (await before.executions.start(LOOK)).execution_id;
    before.clock.advance(5);
    child = (await before.executions.start({ ...LOOK, parent_execution_id: parent })).execution_id;
  }
  await using after = await TestServer.open({ store });
  await after.executions.recover();
  await after.executions.cancel(parent, 'stop');
  expect(await after.executions.ended(child)).toMatchObject({ status: 'cancelled' });
});
