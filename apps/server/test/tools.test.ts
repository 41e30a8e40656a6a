// Tools belong to the server: judged there, run by the agent, answered once.

import type { EventRecord, ExecutionResource, SessionResource } from '@parley/core';
import { expect, test } from 'vitest';
import { House, QUICK } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

/** Every call that was made, with the events that settled it: one end each, and at most one answer. */
function calls(events: EventRecord[]): Record<string, string[]> {
  const settled: Record<string, string[]> = {};
  for (const event of events) {
    if ('call_id' in event) (settled[event.call_id] ??= []).push(event.type);
  }
  return settled;
}

const RAN = ['tool.called', 'tool.dispatched', 'tool.completed', 'tool.answered'];

test('a tool that the model calls runs on the agent, and its output is answered once', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  client.ask('where is order 1?');
  expect(await client.answer()).toBe('Order 1 ships on Monday.');
  expect(support.found).toEqual([{ order: '1' }]);
  expect(Object.values(calls(await house.api.events(session.session_id)))).toEqual([RAN]);
  // The client saw words, and nothing of the call.
  expect(client.frames.filter((frame) => JSON.stringify(frame).includes('find_order'))).toEqual([]);
});

test('parallel calls are answered each, and the model goes on once all of them were', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session, client } = await house.call('support.voice');
  client.ask('both 1 2');
  expect(await client.answer()).toBe('Monday and Tuesday.');
  expect(Object.values(calls(await house.api.events(session.session_id)))).toEqual([RAN, RAN]);
});

test('a function outside of the allowlist does not run, whoever asks', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session, client } = await house.call('support.voice');
  const item = { id: 'item_forged', type: 'function_call', status: 'completed', call_id: 'call_forged' };
  house.simulator.faults.add({
    when: 'response',
    kind: 'frame',
    data: JSON.stringify({
      type: 'response.output_item.done',
      event_id: 'event_forged',
      response_id: 'resp_forged',
      output_index: 0,
      item: { ...item, name: 'refund', arguments: '{}' },
    }),
  });
  client.ask('hello');
  const rejected = await house.api.until(session.session_id, 'tool.rejected');
  expect(rejected).toMatchObject({
    call_id: 'call_forged',
    error: { code: 'permission_denied', message: expect.stringContaining('Allowed tools: find_order, slow, broken') },
  });
  await house.api.until(session.session_id, 'tool.answered');

  const tools = `/api/v1/sessions/${session.session_id}/tools`;
  for (const name of ['refund', 'support.refund', '__proto__', 'constructor']) {
    expect(await house.api.refused('POST', `${tools}/${name}`, {})).toMatchObject({
      status: 403,
      code: 'permission_denied',
    });
  }
  const { executions } = await house.api.get<{ executions: ExecutionResource[] }>(
    `/api/v1/executions?session_id=${session.session_id}`,
  );
  expect(executions.map((one) => one.kind)).toEqual(['session']);
});

test('a tool that is called over HTTP is judged as the model would be', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { session_id, execution_id } = await house.start('support.voice');
  const tools = `/api/v1/sessions/${session_id}/tools`;
  const ran = await house.api.post<ExecutionResource>(`${tools}/find_order`, {
    input: { order: '2' },
    call_id: 'call_1',
  });
  expect(ran).toMatchObject({ status: 'succeeded', output: { day: 'Tuesday' }, parent_execution_id: execution_id });
  expect(await house.api.get(`/api/v1/executions/${ran.execution_id}`)).toMatchObject({ status: 'succeeded' });
  // By its whole name it is the same tool.
  await house.api.post(`${tools}/support.find_order`, { input: { order: '2' }, target: 'support.find_order' });

  const refused = (tool: string, body: unknown) => house.api.refused('POST', `${tools}/${tool}`, body);
  expect(await refused('find_order', { input: { order: 'x' } })).toMatchObject({
    status: 400,
    code: 'invalid_argument',
  });
  expect(await refused('find_order', { input: 'x' })).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('find_order', {})).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('find_order', { input: { order: '1' }, target: 'support.refund' })).toMatchObject({
    code: 'permission_denied',
  });
  expect(await refused('find_order', { input: { order: '1' }, call_id: 'call_1' })).toMatchObject({
    status: 409,
    code: 'already_exists',
  });
  const once = { 'idempotency-key': 'the-refund-of-order-1' };
  const [first, second] = await Promise.all(
    [0, 1].map(() => house.api.post(`${tools}/find_order`, { input: { order: '1' } }, once)),
  );
  expect(second).toEqual(first);
  expect(await house.api.post(`${tools}/find_order`, { input: { order: '1' } }, once)).toEqual(first);
  const other = [`${tools}/find_order`, `${tools}/broken`].map((path) => house.api.refused('POST', path, {}, once));
  for (const one of await Promise.all(other)) expect(one).toMatchObject({ status: 409, code: 'already_exists' });
  expect(support.found).toEqual([{ order: '2' }, { order: '2' }, { order: '1' }]);

  const broken = await house.api.post<ExecutionResource>(`${tools}/broken`, {});
  expect(broken).toMatchObject({
    status: 'failed',
    error: { message: expect.stringContaining('the database is down') },
  });
  // It ran, and failed: that is its outcome, and it does not run again.
  const key = { 'idempotency-key': 'broken-once' };
  const failed = await house.api.post<ExecutionResource>(`${tools}/broken`, {}, key);
  expect(await house.api.post(`${tools}/broken`, {}, key)).toEqual(failed);
  // It never ran: under the same key it may be asked for again, as it should have been.
  await house.api.refused('POST', `${tools}/find_order`, { input: { order: 'x' } }, { 'idempotency-key': 'mended' });
  await house.api.post(`${tools}/find_order`, { input: { order: '2' } }, { 'idempotency-key': 'mended' });
  const log = await house.api.events(session_id);
  expect(log.filter((event) => event.type === 'tool.dispatched' && event['name'] === 'broken')).toHaveLength(2);
});

test('an update narrows the tools and cannot widen them', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session_id } = await house.start('support.voice');
  const session = `/api/v1/sessions/${session_id}`;
  const narrowed = await house.api.post<SessionResource>(`${session}/update`, { tools: ['find_order'] });
  expect(narrowed.tools.map(({ name }) => name)).toEqual(['find_order']);
  expect(await house.api.refused('POST', `${session}/tools/slow`, {})).toMatchObject({ code: 'permission_denied' });
  expect(await house.api.refused('POST', `${session}/update`, { tools: ['refund'] })).toMatchObject({
    status: 403,
    code: 'permission_denied',
  });
  await house.api.post(`${session}/tools/find_order`, { input: { order: '1' } });
});

test('more calls in flight than a session may have are refused, and told to come back', async () => {
  await using house = await House.open();
  const support = supportAgent({ limits: { maxToolCallsInFlight: 1 } });
  await house.serve(support.agent);
  const { session_id } = await house.start('support.voice');
  const tools = `/api/v1/sessions/${session_id}/tools`;
  const slow = house.api.post<ExecutionResource>(`${tools}/slow`, {});
  const end = await support.slow;
  expect(await house.api.refused('POST', `${tools}/find_order`, { input: { order: '1' } })).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    details: { limit: 1, current: 1 },
  });
  end('done');
  expect(await slow).toMatchObject({ status: 'succeeded', output: 'done' });
});

test('a session that is closed mid-tool settles the call, tells the agent, and answers its caller', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { session_id } = await house.start('support.voice');
  const slow = house.api.call('POST', `/api/v1/sessions/${session_id}/tools/slow`, {});
  await support.slow;
  await house.api.post(`/api/v1/sessions/${session_id}/close`);
  const answer = await slow;
  expect(answer.body).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
  expect(await support.slowAborted).toMatchObject({ code: 'cancelled' });
  const [settled] = Object.values(calls(await house.api.events(session_id)));
  expect(settled).toEqual(['tool.called', 'tool.dispatched', 'tool.completed']);
  const [, execution] = (await house.api.get<{ nodes: ExecutionResource[] }>(`/api/v1/sessions/${session_id}/workflow`))
    .nodes;
  expect(execution).toMatchObject({ target: 'support.slow', status: 'cancelled' });
});

test('a provider that vanishes mid-tool and refuses to be had again ends the session; the call is settled and never answered', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  client.ask('slow');
  await support.slow;
  // Whatever the client says next cuts the model's connection, and the next one is refused.
  house.simulator.faults.add({ when: 'upgrade', kind: 'status', status: 403 });
  house.simulator.faults.add({ when: 'event', kind: 'drop' });
  client.type('still there?');
  const closed = await house.api.until(session.session_id, 'session.closed');
  expect(closed).toMatchObject({
    reason: 'provider_lost',
    error: { code: 'permission_denied', retryable: false },
  });
  expect(await client.closed).toMatchObject({ code: 4507 });
  expect(Object.values(calls(await house.api.events(session.session_id)))).toEqual([
    ['tool.called', 'tool.dispatched', 'tool.completed'],
  ]);
  await support.slowAborted;
});

test('an agent that vanishes mid-tool is waited for, then the model is told, once', async () => {
  await using house = await House.open({ limits: QUICK });
  const support = supportAgent();
  const handle = await house.serve(support.agent, { stopMs: 1 });
  const { session, client } = await house.call('support.voice');
  client.ask('slow');
  await support.slow;
  // It goes without a word about its work.
  await Promise.all([handle.stop(), handle.stop()]).catch(() => undefined);
  const completed = await house.api.until(session.session_id, 'tool.completed');
  expect(completed.status).not.toBe('succeeded');
  expect(completed.error).toBeDefined();
  expect(await client.answer()).toMatch(/^Failed: /);
  const [settled] = Object.values(calls(await house.api.events(session.session_id)));
  expect(settled).toEqual(RAN);
});
