// SIGTERM: not ready at once, sessions told, a deadline, and a clean exit.

import { join } from 'node:path';
import { PARLEY_EVENTS_SUBPROTOCOL, type StartResponse } from '@parley/core';
import { type Simulator, startSimulator } from '@parley/simulator';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Client } from './support/client.ts';
import { temporary } from './support/directory.ts';
import { EffectsAgent } from './support/effects.ts';
import { SCRIPT } from './support/house.ts';
import { ServerProcess } from './support/server-process.ts';

// Processes are started here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ script: SCRIPT, voice: 'coded' });
});
afterAll(() => simulator.close());

async function running(drain_ms: number) {
  await using starting = new AsyncDisposableStack();
  const { path } = starting.use(await temporary());
  const data = join(path, 'data');
  const server = starting.use(await ServerProcess.start(data, simulator.url, { PARLEY_DRAIN_MS: String(drain_ms) }));
  const agent = starting.use(await EffectsAgent.start(server.url, join(path, 'effects')));
  const owned = starting.move();
  const start = (name = 'voice') => server.api.post<StartResponse>(`/api/v1/sessions/worker.${name}/start`, {});
  return { server, agent, data, start, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const event = (type: string) => (frame: { [field: string]: unknown }) =>
  (frame['event'] as { type?: string } | undefined)?.type === type;

test('a server without work stops at once, with exit code 0', async () => {
  await using house = await running(60_000);
  expect((await house.server.api.call('GET', '/ready')).status).toBe(200);
  house.server.signal('SIGTERM');
  expect(await house.server.exited).toBe(0);
});

test('a draining server is not ready, refuses starts, tells its sessions, and lets them finish', async () => {
  await using house = await running(60_000);
  const { api, url } = house.server;
  const session = await house.start();
  await using client = await Client.join(url, session, PARLEY_EVENTS_SUBPROTOCOL);
  house.server.signal('SIGTERM');
  const told = await client.next('parley.event', event('session.draining'));
  expect(told['event']).toMatchObject({ deadline_ms: 60_000 });
  expect(await api.refused('GET', '/ready')).toMatchObject({ status: 503, code: 'unavailable', retryable: true });
  expect(await api.get('/health')).toMatchObject({ status: 'draining' });
  expect((await api.call('GET', '/live')).status).toBe(200);
  expect(await api.refused('POST', '/api/v1/sessions/worker.voice/start', {})).toMatchObject({
    status: 503,
    code: 'unavailable',
  });
  // What was begun goes on.
  client.ask('hello');
  expect(await client.answer()).toBe('You said: hello');
  client.socket.close(1000);
  expect(await house.server.exited).toBe(0);
});

test('at the deadline the sessions that are left are closed, and the server exits', async () => {
  await using house = await running(300);
  const session = await house.start();
  await using client = await Client.join(house.server.url, session, PARLEY_EVENTS_SUBPROTOCOL);
  house.server.signal('SIGTERM');
  const closed = await client.next('parley.event', event('session.closed'));
  expect(closed['event']).toMatchObject({ reason: 'drain' });
  expect((await client.closed).code).toBe(1000);
  expect(await house.server.exited).toBe(0);
  await using again = await ServerProcess.start(house.data, simulator.url);
  expect(await again.api.get(`/api/v1/sessions/${session.session_id}`)).toMatchObject({
    status: 'closed',
    close_reason: 'drain',
  });
  expect(await again.api.get(`/api/v1/executions/${session.execution_id}`)).toMatchObject({
    status: 'cancelled',
    reason: 'drain',
  });
});

test('a call that is running is finished and answered before the server exits', async () => {
  await using house = await running(60_000);
  const { api } = house.server;
  const call = api.post('/api/v1/execute/worker.effect', { input: { name: 'one' } });
  await expect.poll(async () => (await house.agent.effects()).length, { timeout: 30_000 }).toBe(1);
  house.server.signal('SIGTERM');
  await expect.poll(async () => (await api.call('GET', '/ready')).status).toBe(503);
  expect(await api.refused('POST', '/api/v1/execute/worker.effect', { input: { name: 'two' } })).toMatchObject({
    status: 503,
    code: 'unavailable',
  });
  house.agent.release('all');
  expect(await call).toMatchObject({ status: 'succeeded', output: { did: 'one' } });
  expect(await house.server.exited).toBe(0);
});

test('a client that does not answer the close does not hold the server up', async () => {
  await using house = await running(100);
  const session = await house.start();
  await using client = await Client.join(house.server.url, session);
  client.socket.pause();
  house.server.signal('SIGTERM');
  expect(await house.server.exited).toBe(0);
});

test('a second signal does not wait', async () => {
  await using house = await running(60_000);
  const session = await house.start();
  await using client = await Client.join(house.server.url, session, PARLEY_EVENTS_SUBPROTOCOL);
  house.server.signal('SIGTERM');
  await client.next('parley.event', event('session.draining'));
  house.server.signal('SIGTERM');
  expect(await house.server.exited).toBe(1);
});

test('a data directory that another server uses is refused', async () => {
  await using house = await running(1000);
  await expect(ServerProcess.start(house.data, simulator.url)).rejects.toThrow(
    /did not start: 1: parley: failed_precondition: .* is in use/,
  );
});
