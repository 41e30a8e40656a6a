// What can grow has a limit, and past it an answer: resource_exhausted, with the limit and whether to come back.

import type { ExecutionResource } from '@parley/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from './support/client.ts';
import { House } from './support/house.ts';
import { type SupportAgent, supportAgent } from './support/support-agent.ts';

let house: House;
let support: SupportAgent;
beforeAll(async () => {
  // One of the sockets is the agent's.
  house = await House.open({ limits: { sessions_max: 2, sockets_max: 2, executions_max: 1 } });
  support = supportAgent();
  await house.serve(support.agent);
});
afterAll(() => house[Symbol.asyncDispose]());

const START = '/api/v1/sessions/support.voice/start';

test('sessions', async () => {
  const sessions = [await house.start('support.voice'), await house.start('support.voice')];
  expect(await house.api.refused('POST', START, {})).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: true,
    details: { limit: 2, current: 2 },
  });
  for (const { session_id } of sessions) {
    await house.api.post(`/api/v1/sessions/${session_id}/close`);
    await house.api.until(session_id, 'session.closed');
  }
});

test('sockets', async () => {
  const session = await house.start('support.voice');
  const first = await house.join(session);
  await using second = Client.dial(house.server.url, session);
  const status = await new Promise((resolve) => {
    second.socket.on('unexpected-response', (_request, answer) => resolve(answer.statusCode));
  });
  expect(status).toBe(429);
  first.socket.close(1000);
  await house.api.until(session.session_id, 'session.closed');
});

test('executions', async () => {
  const slow = await house.api.post<ExecutionResource>('/api/v1/execute/async/support.slow', {});
  await support.slow;
  expect(await house.api.refused('POST', '/api/v1/execute/support.refund', {})).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: true,
    details: { limit: 1, current: 1 },
  });
  await house.api.post(`/api/v1/executions/${slow.execution_id}/cancel`, {});
  await house.api.post('/api/v1/execute/support.refund', {});
});

test('the input of an execution, and the texts that wait for a provider', async () => {
  const input = { text: 'x'.repeat(1024 * 1024) };
  expect(await house.api.refused('POST', '/api/v1/execute/support.refund', { input })).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: false,
  });
  const { session_id } = await house.start('support.voice');
  const path = `/api/v1/sessions/${session_id}`;
  // The provider is asked for and does not answer.
  house.simulator.faults.add({ when: 'connected', kind: 'stall' });
  for (let i = 0; i < 64; i += 1) await house.api.post(`${path}/inject`, { text: `${i}`, respond: false });
  expect(await house.api.refused('POST', `${path}/inject`, { text: 'one more' })).toMatchObject({
    code: 'resource_exhausted',
    details: { limit: 64, current: 64 },
  });
  await house.api.post(`${path}/close`);
});
