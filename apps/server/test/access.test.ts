// Who may do what: loopback, keys and scopes, session tokens, pages of other origins.

import type { KeyResource, StartResponse } from '@parley/core';
import { expect, test } from 'vitest';
import { startServer } from '../src/index.ts';
import { House } from './support/house.ts';
import { errorIn, raw } from './support/raw.ts';
import { supportAgent } from './support/support-agent.ts';

const KEY = 'a-key-of-the-configuration';

test('any other address than loopback is refused without a key, before anything listens', async () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.1', 'example.com', '127.0.0.1.example.com']) {
    await expect(startServer({ host, port: 0, data: ':memory:', log_level: 'silent' })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('without a key'),
    });
  }
  await using server = await startServer({
    host: '0.0.0.0',
    port: 0,
    data: ':memory:',
    keys: [KEY],
    log_level: 'silent',
  });
  expect((await fetch(`http://127.0.0.1:${server.port}/api/v1/sessions`)).status).toBe(401);
});

test.each([
  { keys: ['short'] },
  { port: -1 },
  { port: 70_000 },
  { drain_ms: Number.NaN },
  { limits: { sessions_max: 0 } },
])('options that cannot be are refused: %j', async (options) => {
  await expect(startServer({ data: ':memory:', log_level: 'silent', ...options })).rejects.toMatchObject({
    code: 'invalid_argument',
  });
});

test('without a key only loopback names and pages of loopback origins are answered', async () => {
  await using house = await House.open({ allowed_origins: ['https://console.example.com'] });
  const ask = (headers: Record<string, string>) => raw(house.server.url, '/api/v1/sessions', { headers });
  for (const host of ['127.0.0.1', 'localhost:7700', '[::1]:7700']) expect((await ask({ host })).status).toBe(200);
  for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example']) {
    expect((await ask({ host })).status).toBe(403);
    // A page behind a name of its own may send whatever it likes: a key that nobody made is not a reason to answer.
    expect((await ask({ host, authorization: 'Bearer anything' })).status).toBe(403);
    expect((await ask({ host, 'x-api-key': 'anything' })).status).toBe(403);
  }
  const page = await ask({ origin: 'https://evil.example' });
  expect(page.status).toBe(403);
  expect(page.headers['access-control-allow-origin']).toBeUndefined();
  expect(errorIn(page)).toMatchObject({ code: 'permission_denied' });
  for (const origin of ['http://localhost:5173', 'https://console.example.com']) {
    const allowed = await ask({ origin });
    expect(allowed).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } });
  }
  const preflight = await raw(house.server.url, '/api/v1/sessions/support.voice/start', {
    method: 'OPTIONS',
    headers: { origin: 'http://localhost:5173', 'access-control-request-method': 'POST' },
  });
  expect(preflight.status).toBe(204);
  expect(preflight.headers['access-control-allow-headers']).toContain('idempotency-key');
});

test('keys open what their scopes say, and nothing once they were revoked', async () => {
  await using house = await House.open({ keys: [KEY] });
  await house.serve(supportAgent().agent);
  const admin = house.api;
  const anyone = house.api.as(undefined);
  expect(await anyone.refused('GET', '/api/v1/sessions')).toMatchObject({ status: 401, code: 'unauthenticated' });
  expect(await anyone.as('no-such-key').refused('GET', '/api/v1/sessions')).toMatchObject({ status: 401 });
  const missing = await anyone.call('GET', '/api/v1/sessions');
  expect(missing.headers.get('www-authenticate')).toBe('Bearer');
  for (const path of ['/health', '/live', '/ready', '/api/v1/openapi.json']) {
    expect((await anyone.call('GET', path)).status).toBe(200);
  }

  const make = async (...scopes: string[]) => {
    const made = await admin.post<KeyResource & { key: string }>('/api/v1/access/keys', {
      name: scopes.join(),
      scopes,
    });
    return { id: made.key_id, api: anyone.as(made.key) };
  };
  const observer = await make('observe');
  const starter = await make('start');
  const agent = await make('agent');
  const start = '/api/v1/sessions/support.voice/start';
  await observer.api.get('/api/v1/sessions');
  expect(await observer.api.refused('POST', start, {})).toMatchObject({ status: 403, code: 'permission_denied' });
  await starter.api.post(start, {});
  await starter.api.get('/api/v1/agents');
  expect(await starter.api.refused('GET', '/api/v1/access/keys')).toMatchObject({ status: 403 });
  expect(await agent.api.refused('GET', '/api/v1/sessions')).toMatchObject({ status: 403 });

  const list = await admin.get<{ keys: KeyResource[] }>('/api/v1/access/keys');
  expect(list.keys.map((key) => key.name)).toEqual(['configured', 'observe', 'start', 'agent']);
  expect(JSON.stringify(list)).not.toMatch(/hash|pk_/);
  expect((await admin.call('DELETE', `/api/v1/access/keys/${observer.id}`)).status).toBe(200);
  expect(await observer.api.refused('GET', '/api/v1/sessions')).toMatchObject({ status: 401 });
  expect(await admin.refused('DELETE', `/api/v1/access/keys/${observer.id}`)).toMatchObject({ status: 404 });
  expect(await admin.refused('DELETE', '/api/v1/access/keys/configured_1')).toMatchObject({
    code: 'failed_precondition',
  });
  // A name is a name: a key that calls itself like those of the configuration is revoked like any other.
  const named = await admin.post<KeyResource & { key: string }>('/api/v1/access/keys', {
    name: 'configured',
    scopes: ['observe'],
  });
  expect((await admin.call('DELETE', `/api/v1/access/keys/${named.key_id}`)).status).toBe(200);
});

test('an agent link needs a key with the scope of agents', async () => {
  await using house = await House.open({ keys: [KEY] });
  const scoped = (scope: string) =>
    house.api.post<KeyResource & { key: string }>('/api/v1/access/keys', { name: scope, scopes: [scope] });
  const [starter, agent] = [await scoped('start'), await scoped('agent')];
  await expect(house.serve(supportAgent().agent, { key: starter.key })).rejects.toMatchObject({
    code: 'permission_denied',
  });
  await expect(house.serve(supportAgent().agent, { key: 'no-such-key' })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
  await house.serve(supportAgent().agent, { key: agent.key });
});

test('a session token opens its own session, what clients do in it, and nothing else', async () => {
  await using house = await House.open({ keys: [KEY] });
  await house.serve(supportAgent().agent);
  const admin = house.api;
  const anyone = house.api.as(undefined);
  const [mine, other] = await Promise.all(
    [1, 2].map(() => admin.post<StartResponse>('/api/v1/sessions/support.voice/start', {})),
  );
  if (!mine || !other) throw new Error('two sessions were started');
  const client = anyone.as(mine.client_token);
  const session = `/api/v1/sessions/${mine.session_id}`;
  await client.get(session);
  await client.get(`${session}/events`);
  await client.get(`${session}/workflow`);
  await client.post(`${session}/tools/find_order`, { input: { order: '1' } });
  const denied = { status: 403, code: 'permission_denied' };
  expect(await client.refused('GET', `/api/v1/sessions/${other.session_id}`)).toMatchObject(denied);
  expect(await client.refused('GET', '/api/v1/sessions')).toMatchObject(denied);
  expect(await client.refused('POST', `${session}/say`, { text: 'x' })).toMatchObject(denied);
  expect(await client.refused('POST', `${session}/update`, { instructions: 'x' })).toMatchObject(denied);
  expect(await client.refused('POST', '/api/v1/sessions/support.voice/start', {})).toMatchObject(denied);
  expect(await client.refused('POST', '/api/v1/execute/support.refund', {})).toMatchObject(denied);
  await client.post(`${session}/close`, {});

  const [prefix, id, expiry, signature] = mine.client_token.split('.');
  for (const forged of [
    [prefix, other.session_id, expiry, signature],
    [prefix, id, 'zzzzzzzzz', signature],
    [prefix, id, expiry, 'x'],
    [prefix, id, expiry],
  ]) {
    expect(await anyone.as(forged.join('.')).refused('GET', session)).toMatchObject({ code: 'unauthenticated' });
  }
});
