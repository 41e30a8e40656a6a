// Somebody goes in the middle of a turn: the client, the provider.

import { join } from 'node:path';
import type { ExecutionResource } from '@parley/core';
import { expect, test, vi } from 'vitest';
import { House, QUICK } from './support/house.ts';
import { EffectsAgent } from './support/effects.ts';
import { supportAgent } from './support/support-agent.ts';

// Agents are processes here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

test('a client that is cut off mid-tool finds the answer when it comes back', async () => {
  await using house = await House.open();
  const support = supportAgent();
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  client.ask('slow');
  const end = await support.slow;
  client.cut();
  await house.api.until(session.session_id, 'client.detached');
  end('done');
  await house.api.until(session.session_id, 'tool.answered');
  const done = await house.api.until(session.session_id, 'response.completed', (one) => one.text !== '');
  expect(done.text).toBe('It took its time.');
  const again = await house.join(session);
  again.ask('order 2');
  expect(await again.answer()).toBe('Order 2 ships on Tuesday.');
});

test('a client that is cut off and does not come back costs no more than the session may idle', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ limits: { idleTimeoutMs: 1000 } }).agent);
  const { session, client } = await house.call('support.voice');
  client.cut();
  expect(await house.api.until(session.session_id, 'session.closed')).toMatchObject({ reason: 'idle_timeout' });
});

test('a session may not last longer than it was declared to', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ limits: { maxDurationMs: 1000 } }).agent);
  const { session, client } = await house.call('support.voice');
  expect(await house.api.until(session.session_id, 'limit.reached')).toMatchObject({ limit: 'max_duration_ms' });
  await client.closed;
  expect(await house.api.get(`/api/v1/executions/${session.execution_id}`)).toMatchObject({ status: 'timed_out' });
});

const ENDS = [
  ['cuts the connection', { when: 'response', kind: 'drop' }],
  ['closes with a code', { when: 'response', kind: 'close', code: 1011, reason: 'overloaded' }],
  ['lets the session expire', { when: 'event', kind: 'expire' }],
] as const;

test.each(ENDS)('a provider that %s mid-turn is connected anew, and the turn is answered', async (_how, fault) => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session, client } = await house.call('support.voice');
  house.simulator.faults.add(fault);
  client.ask('hello');
  expect(await house.api.until(session.session_id, 'provider.renewed')).toMatchObject({ reason: 'lost' });
  await house.api.until(session.session_id, 'response.completed', ({ text }) => text === 'You said: hello');
  client.ask('second');
  await house.api.until(session.session_id, 'response.completed', ({ text }) => text === 'You said: second');
  expect(await house.api.get(`/api/v1/executions/${session.execution_id}`)).toMatchObject({ status: 'running' });
});

test.each(ENDS)(
  'a provider that %s mid-turn and takes nobody back ends the session, and the client is told',
  async (_how, fault) => {
    await using house = await House.open();
    await house.serve(supportAgent().agent);
    const { session, client } = await house.call('support.voice');
    house.simulator.faults.add({ when: 'upgrade', kind: 'status', status: 401 });
    house.simulator.faults.add(fault);
    client.ask('hello');
    const closed = await house.api.until(session.session_id, 'session.closed');
    expect(closed).toMatchObject({ reason: 'provider_lost', error: { code: expect.stringMatching(/^[a-z_]+$/) } });
    expect((await client.closed).code).toBeGreaterThan(4000);
    expect(await house.api.get(`/api/v1/executions/${session.execution_id}`)).toMatchObject({ status: 'failed' });
  },
);

test.each([
  ['refuses an answer', { when: 'response', kind: 'rate_limit' }],
  ['sends what is no JSON', { when: 'response', kind: 'frame', data: '{"type":' }],
  [
    'sends an event of a kind that nobody knows',
    { when: 'response', kind: 'frame', data: '{"type":"later.invented"}' },
  ],
] as const)('a provider that %s does not end the call', async (_how, fault) => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { client } = await house.call('support.voice');
  house.simulator.faults.add(fault);
  client.ask('first');
  await client.next('response.done');
  client.ask('second');
  const answer = await client.next('response.output_text.done', (frame) => String(frame['text']).includes('second'));
  expect(answer['text']).toBe('You said: second');
});

test('an agent that is killed mid-tool leaves the model an answer, once, and the session goes on', async () => {
  const script = { rules: [{ heard: 'do it', call: { name: 'effect', arguments: { name: 'one' } } }] };
  await using house = await House.open({ limits: QUICK, simulator: { script } });
  await using agent = await EffectsAgent.start(house.server.url, join(house.directory, 'effects'));
  const { session, client } = await house.call('worker.voice');
  client.ask('do it');
  await expect.poll(async () => (await agent.effects()).length).toBe(1);
  await agent.kill();
  expect(await house.api.until(session.session_id, 'tool.completed')).toMatchObject({
    status: 'unknown',
    error: { code: 'unavailable' },
  });
  expect(await client.answer()).toContain('did not work');
  client.ask('hello');
  expect(await client.answer()).toBe('You said: hello');
  const answered = (await house.api.events(session.session_id)).filter((one) => one.type === 'tool.answered');
  expect(answered).toHaveLength(1);
});

test('an agent that freezes is given up; what it says when it wakes changes nothing', async () => {
  const limits = { agent_heartbeat_ms: 200, agent_lease_ms: 1000, agent_resume_ms: 300 };
  await using house = await House.open({ limits });
  await using agent = await EffectsAgent.start(house.server.url, join(house.directory, 'effects'));
  const begun = await house.api.post<ExecutionResource>('/api/v1/execute/async/worker.effect', {
    input: { name: 'one' },
  });
  await expect.poll(async () => (await agent.effects()).length).toBe(1);
  agent.freeze();
  // It hears of this when it wakes.
  agent.release('all');
  const path = `/api/v1/executions/${begun.execution_id}`;
  for await (const _ of house.api.stream(`${path}/events`));
  const ended = await house.api.get<ExecutionResource>(path);
  expect(ended).toMatchObject({ status: 'unknown', reason: 'agent_lost', error: { code: 'unavailable' } });
  agent.thaw();
  // Awake again, it takes new work.
  const after = () => house.api.call('POST', '/api/v1/execute/worker.effect', { input: { name: 'two' } });
  await expect.poll(async () => (await after()).body).toMatchObject({ status: 'succeeded' });
  expect(await house.api.get(path)).toEqual(ended);
  expect((await agent.effects()).filter((name) => name === 'one')).toHaveLength(1);
});
