// Sudden death of the server, of an agent, and of both. What was acknowledged is there, nothing is done twice, and
// everything ends with a reason.

import { join } from 'node:path';
import type { BatchStatusResponse, ExecutionResource, SessionResource, StartResponse } from '@parley/core';
import { startSimulator } from '@parley/simulator';
import { expect, test, vi } from 'vitest';
import type { Api } from './support/api.ts';
import { Cable } from './support/cable.ts';
import { Client } from './support/client.ts';
import { temporary } from './support/directory.ts';
import { EffectsAgent } from './support/effects.ts';
import { SCRIPT } from './support/house.ts';
import { ServerProcess } from './support/server-process.ts';

// Processes are started here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

const QUICK = { PARLEY_LIMITS: 'agent_resume_ms=500' };
const TERMINAL = ['succeeded', 'failed', 'cancelled', 'timed_out', 'unknown'];

const names = (count: number, prefix = 'e') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

function begin(api: Api, name: string, target = 'worker.effect'): Promise<ExecutionResource> {
  return api.post(`/api/v1/execute/async/${target}`, { input: { name } }, { 'idempotency-key': name });
}

async function statuses(api: Api, execution_ids: string[]): Promise<ExecutionResource[]> {
  const batch = await api.post<BatchStatusResponse>('/api/v1/executions/batch-status', { execution_ids });
  expect(batch.missing).toEqual([]);
  return batch.executions;
}

async function allEnded(api: Api, execution_ids: string[]): Promise<ExecutionResource[]> {
  let found: ExecutionResource[] = [];
  await expect
    .poll(
      async () => {
        found = await statuses(api, execution_ids);
        return found.filter((one) => !TERMINAL.includes(one.status)).map((one) => [one.target, one.status, one.reason]);
      },
      { timeout: 30_000 },
    )
    .toEqual([]);
  return found;
}

/** The log is whole, ends once, and the row and the root execution say the same. */
async function closedByRestart(api: Api, { session_id, execution_id }: StartResponse): Promise<void> {
  const events = await api.events(session_id);
  expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.filter((event) => event.type === 'session.closed')).toMatchObject([{ reason: 'server_restarted' }]);
  expect(events.at(-1)?.type).toBe('session.closed');
  expect(await api.get<SessionResource>(`/api/v1/sessions/${session_id}`)).toMatchObject({
    status: 'closed',
    close_reason: 'server_restarted',
    last_seq: events.length,
  });
  expect(await api.get(`/api/v1/executions/${execution_id}`)).toMatchObject({
    status: 'failed',
    reason: 'server_restarted',
    error: { code: 'unavailable' },
  });
}

test('kill -9 of the server during a hundred running executions: nothing is lost, nothing is done twice', async () => {
  await using directory = await temporary();
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded' });
  const data = join(directory.path, 'data');
  await using server = await ServerProcess.start(data, simulator.url);
  await using cable = await Cable.to(server.url);
  await using agent = await EffectsAgent.start(cable.url, join(directory.path, 'effects'));

  const hundred = names(100);
  const running = await Promise.all(hundred.map((name) => begin(server.api, name)));
  await expect.poll(async () => (await agent.effects()).length, { timeout: 30_000 }).toBe(100);
  const queue = names(5, 'rare');
  const rare = await Promise.all(queue.map((name) => begin(server.api, name, 'worker.rare')));
  const sessions = await Promise.all(
    ['voice', 'voice', 'hosted'].map((one) =>
      server.api.post<StartResponse>(`/api/v1/sessions/worker.${one}/start`, {}),
    ),
  );
  const clients = await Promise.all(sessions.map((session) => Client.join(server.url, session)));
  // Of these some are acknowledged before the end, and some are not.
  const last = Promise.allSettled(names(60, 'late').map((name) => begin(server.api, name)));
  const [first] = names(1, 'late');
  await expect.poll(async () => (await agent.effects()).includes(first as string), { timeout: 30_000 }).toBe(true);
  server.signal('SIGKILL');
  await server.exited;
  const acknowledged = (await last).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  await Promise.all(clients.map((client) => client.closed));

  // Half of the work ends while nobody is there to be told.
  agent.release(hundred.slice(0, 50));
  await using again = await ServerProcess.start(data, simulator.url);
  for (const session of sessions) await closedByRestart(again.api, session);
  const ids = [...running, ...rare, ...acknowledged].map((one) => one.execution_id);
  await statuses(again.api, ids);
  cable.plugInto(again.url);
  agent.release('all');
  const ended = await allEnded(again.api, ids);
  expect(ended.filter((one) => one.status !== 'succeeded').map((one) => [one.target, one.reason])).toEqual([]);

  const effects = await agent.effects();
  expect(new Set(effects).size).toBe(effects.length);
  expect(effects).toEqual(expect.arrayContaining([...hundred, ...queue]));
  // A caller that was not answered asks again with its key, and gets what its first request began.
  const repeated = await Promise.all(hundred.slice(0, 10).map((name) => begin(again.api, name)));
  expect(repeated.map((one) => one.execution_id)).toEqual(running.slice(0, 10).map((one) => one.execution_id));
  expect(await agent.effects()).toEqual(effects);
});

test('kill -9 of an agent during a hundred running executions: each ends as unknown, and runs nowhere again', async () => {
  await using directory = await temporary();
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded' });
  await using server = await ServerProcess.start(join(directory.path, 'data'), simulator.url, QUICK);
  const file = join(directory.path, 'effects');
  await using agent = await EffectsAgent.start(server.url, file);
  const hundred = names(100);
  const running = await Promise.all(hundred.map((name) => begin(server.api, name)));
  await expect.poll(async () => (await agent.effects()).length, { timeout: 30_000 }).toBe(100);
  const hosted = await server.api.post<StartResponse>('/api/v1/sessions/worker.hosted/start', {});
  await using client = await Client.join(server.url, hosted);
  await server.api.until(hosted.session_id, 'handler.attached');
  await agent.kill();

  // Another process of the agent takes new work, and none of what the dead one may have done.
  await using second = await EffectsAgent.start(server.url, file);
  const ended = await allEnded(
    server.api,
    running.map((one) => one.execution_id),
  );
  expect(new Set(ended.map((one) => `${one.status} ${one.reason} ${one.error?.code}`))).toEqual(
    new Set(['unknown agent_lost unavailable']),
  );
  expect(await server.api.until(hosted.session_id, 'session.closed')).toMatchObject({
    reason: 'handler_lost',
    error: { code: 'unavailable' },
  });
  expect((await client.closed).code).toBe(4014);
  second.release('all');
  expect(await server.api.post('/api/v1/execute/worker.effect', { input: { name: 'after' } })).toMatchObject({
    status: 'succeeded',
  });
  expect(await second.effects()).toEqual([...new Set([...(await second.effects())])]);
  expect((await second.effects()).length).toBe(101);
});

test('when both die, what was given out ends as unknown and what was not is run once', async () => {
  await using directory = await temporary();
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded' });
  const data = join(directory.path, 'data');
  const file = join(directory.path, 'effects');
  await using server = await ServerProcess.start(data, simulator.url, QUICK);
  await using agent = await EffectsAgent.start(server.url, file);
  const rare = await Promise.all(names(4).map((name) => begin(server.api, name, 'worker.rare')));
  await expect.poll(async () => (await agent.effects()).length, { timeout: 30_000 }).toBe(1);
  const [given] = await agent.effects();
  server.signal('SIGKILL');
  await Promise.all([server.exited, agent.kill()]);

  await using again = await ServerProcess.start(data, simulator.url, QUICK);
  await using second = await EffectsAgent.start(again.url, file);
  second.release('all');
  const ended = await allEnded(
    again.api,
    rare.map((one) => one.execution_id),
  );
  for (const one of ended) {
    const lost = (one.input as { name: string }).name === given;
    expect(one).toMatchObject(lost ? { status: 'unknown', reason: 'server_restarted' } : { status: 'succeeded' });
  }
  expect((await second.effects()).sort()).toEqual(names(4));
});
