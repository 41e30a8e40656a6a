// Executions over HTTP: sync and async, once for each Idempotency-Key.

import type { BatchStatusResponse, ExecutionResource } from '@parley/core';
import { expect, test } from 'vitest';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

test('a sync call answers with the end, an async one with an id that can be asked for', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { api } = house;
  const order = { input: { order: '1' } };
  const sync = await api.call<ExecutionResource>('POST', '/api/v1/execute/support.find_order', order);
  expect(sync).toMatchObject({ status: 200, body: { status: 'succeeded', output: { day: 'Monday' } } });
  expect(sync.headers.get('x-execution-id')).toBe(sync.body.execution_id);

  const admitted = await api.call<ExecutionResource>('POST', '/api/v1/execute/async/support.slow', {});
  expect(admitted.status).toBe(202);
  expect(['queued', 'running']).toContain(admitted.body.status);
  const { execution_id } = admitted.body;
  await api.post(`/api/v1/executions/${execution_id}/notes`, { text: 'halfway', data: { percent: 50 } });
  const end = await support.slow;
  const running = await api.get<{ executions: ExecutionResource[] }>('/api/v1/executions?status=running');
  expect(running.executions.map((one) => one.execution_id)).toEqual([execution_id]);
  end({ done: true });
  for await (const _ of api.stream(`/api/v1/executions/${execution_id}/events`));
  expect(await api.get(`/api/v1/executions/${execution_id}`)).toMatchObject({
    status: 'succeeded',
    output: { done: true },
    notes: [{ text: 'halfway', data: { percent: 50 } }],
  });
  const batch = await api.post<BatchStatusResponse>('/api/v1/executions/batch-status', {
    execution_ids: [execution_id, 'exec_none'],
  });
  expect(batch.executions.map((one) => one.status)).toEqual(['succeeded']);
  expect(batch.missing).toEqual(['exec_none']);
});

test('a call that outlives its timeout ends as timed_out, and its agent is told', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const ended = await house.api.post<ExecutionResource>('/api/v1/execute/support.slow', { timeout_ms: 200 });
  expect(ended).toMatchObject({ status: 'timed_out', error: { code: 'deadline_exceeded' } });
  await support.slowAborted;
});

test('a target that is not there, and input that does not fit, are refused before anything is written', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const refused = (target: string, body: unknown) => house.api.refused('POST', `/api/v1/execute/${target}`, body);
  expect(await refused('nobody.f', {})).toMatchObject({ status: 404, code: 'not_found' });
  expect(await refused('support.f', {})).toMatchObject({ status: 404, code: 'not_found' });
  expect(await refused('no target', {})).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('support.find_order', { input: {} })).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('support.refund', { timeout_ms: 0 })).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('support.refund', { inputs: {} })).toMatchObject({ status: 400, code: 'invalid_argument' });
  const { executions } = await house.api.get<{ executions: unknown[] }>('/api/v1/executions');
  expect(executions).toEqual([]);
});

test('the same Idempotency-Key runs once, however often and however much at once it is sent', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const path = '/api/v1/execute/support.find_order';
  const key = { 'idempotency-key': 'once' };
  const body = { input: { order: '1' } };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => house.api.post<ExecutionResource>(path, body, key)),
  );
  expect(new Set(answers.map((one) => one.execution_id)).size).toBe(1);
  expect(answers.map((one) => one.status)).toEqual(answers.map(() => 'succeeded'));
  expect((await house.api.post<ExecutionResource>(path, body, key)).execution_id).toBe(answers[0]?.execution_id);
  expect(support.found).toHaveLength(1);
  expect(await house.api.refused('POST', path, { input: { order: '2' } }, key)).toMatchObject({
    status: 409,
    code: 'already_exists',
  });
  // Another route, or none of the keys, is another request.
  await house.api.post(path, body, { 'idempotency-key': 'twice' });
  expect(support.found).toHaveLength(2);
});

test('the same Idempotency-Key starts one session, also at its limit', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ limits: { maxConcurrent: 1 } }).agent);
  const key = { 'idempotency-key': 'start' };
  const path = '/api/v1/sessions/support.voice/start';
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => house.api.call<{ session_id: string }>('POST', path, {}, key)),
  );
  expect(new Set(answers.map((one) => one.body.session_id)).size).toBe(1);
  expect(answers.filter((one) => one.status === 201)).toHaveLength(1);
  expect(answers.filter((one) => one.status === 200)).toHaveLength(7);
  expect(await house.api.refused('POST', path, { voice: 'cedar' }, key)).toMatchObject({
    status: 409,
    code: 'already_exists',
  });
  // What the key started may have ended: the answer is the same, and no second session begins.
  const session_id = answers[0]?.body.session_id ?? '';
  await house.api.post(`/api/v1/sessions/${session_id}/close`);
  await house.api.until(session_id, 'session.closed');
  expect((await house.api.call<{ session_id: string }>('POST', path, {}, key)).body.session_id).toBe(session_id);
});

test('a cancelled execution takes its children with it', async () => {
  await using house = await House.open();
  const support = supportAgent();
  support.agent.reasoner('outer', {}, (_input, { call }) => call('slow'));
  await house.serve(support.agent);
  const { execution_id, workflow_id } = await house.api.post<ExecutionResource>(
    '/api/v1/execute/async/support.outer',
    {},
  );
  await support.slow;
  const cancelled = await house.api.post<ExecutionResource>(`/api/v1/executions/${execution_id}/cancel`, {
    reason: 'not needed',
  });
  expect(cancelled).toMatchObject({ status: 'cancelled', reason: 'not needed' });
  await support.slowAborted;
  const child = async () => {
    const { nodes } = await house.api.get<{ nodes: ExecutionResource[] }>(`/api/v1/workflows/${workflow_id}/dag`);
    return nodes.find((node) => node.target === 'support.slow')?.status;
  };
  await expect.poll(child).toBe('cancelled');
});
