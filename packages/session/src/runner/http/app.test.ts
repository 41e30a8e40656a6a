// The server of a launcher, over real sockets.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { ParleyError } from '@parley/core';
import { createModel } from '@parley/providers';
import { parseScript, startSimulator } from '@parley/simulator';
import { fastify } from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { launcherOf, newAgent, settled } from '../../launcher/launcher.test.support.ts';
import type { AgentLauncherOptions } from '../../launcher/options.ts';
import { checkExposure, type RunnerServeOptions } from '../serve-options.ts';
import { Runner } from '../runner.ts';

async function served(launch: Partial<AgentLauncherOptions> = {}, serveOptions: RunnerServeOptions = {}) {
  const parts = launcherOf(launch);
  const app = await new Runner({ launcher: parts.launcher, serveOptions }).app();
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    await Promise.all([parts.launcher.stop(), tick(parts.clock)]);
    await app.close();
  });
  const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? null : parsed(text), text };
  };
  return { ...parts, app, url, ask };
}

async function tick(clock: { advance(ms: number): void }): Promise<void> {
  await settled();
  clock.advance(2_000);
}

// Answers differ by route; what a test looks at, it says.
// oxlint-disable-next-line typescript/no-explicit-any -- the tests compare these with literals
function parsed(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

test('a session is started, read, measured and closed over HTTP', async () => {
  const { ask, launcher } = await served();
  const started = await ask('POST', '/sessions?wait=active', { call_id: 'c-1', call_type: 'default' });
  expect(started.status).toBe(201);
  expect(started.body).toMatchObject({ call_id: 'c-1', status: 'active', session_id: expect.stringMatching(/^sess_/) });
  expect(Date.parse(started.body.started_at)).toBeGreaterThan(0);
  const path = `/sessions/${started.body.session_id}`;
  expect(started.headers.get('location')).toBe(path);
  expect((await ask('GET', path)).body).toMatchObject({ status: 'active', call_type: 'default' });
  expect((await ask('GET', `${path}/metrics`)).body).toMatchObject({ turns: 0, tool_calls: 0 });
  const closed = await ask('DELETE', path);
  expect([202, 200]).toContain(closed.status);
  await launcher.get(started.body.session_id)?.finished;
  expect((await ask('DELETE', path)).status).toBe(200);
  expect((await ask('POST', `${path}/close`)).status).toBe(200);
  expect((await ask('GET', path)).body).toMatchObject({ status: 'ended', reason: 'closed' });
});

test('the list is filtered and paged, and a call has the same sessions below its own path', async () => {
  const { ask } = await served();
  for (const call_id of ['a', 'a', 'b']) await ask('POST', '/sessions', { call_id });
  expect((await ask('GET', '/sessions')).body.sessions).toHaveLength(3);
  const ofCall = (await ask('GET', '/sessions?call_id=a')).body.sessions as { session_id: string }[];
  expect(ofCall).toHaveLength(2);
  expect((await ask('GET', '/calls/a/sessions')).body.sessions).toEqual(ofCall);
  expect((await ask('GET', '/v1/sessions?limit=1')).body.sessions).toHaveLength(1);
  const after = await ask('GET', `/sessions?call_id=a&after=${ofCall[0]?.session_id}`);
  expect(after.body.sessions).toEqual([ofCall[1]]);
  expect((await ask('GET', '/sessions?status=gone')).status).toBe(400);
  // One that is forgotten, or is none: the first page again would never end.
  expect((await ask('GET', '/sessions?after=sess_gone')).body.error).toMatchObject({
    code: 'invalid_argument',
    details: { path: 'after' },
  });
  const inCall = await ask('POST', '/calls/b/sessions', {});
  expect(inCall.body.call_id).toBe('b');
  expect((await ask('GET', `/calls/a/sessions/${inCall.body.session_id}`)).status).toBe(404);
  expect((await ask('GET', `/calls/b/sessions/${inCall.body.session_id}`)).status).toBe(200);
});

test('over a limit a start is told the limit and when to come back, or waits for a place', async () => {
  const { ask, launcher } = await served({ maxConcurrentSessions: 1 });
  const first = await ask('POST', '/sessions', {});
  const refused = await ask('POST', '/sessions', {});
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('2');
  expect(refused.body.error).toMatchObject({
    code: 'resource_exhausted',
    details: { reason: 'node_at_capacity', limit: 1, current: 1 },
    request_id: expect.stringMatching(/^req_/),
  });
  const queued = await ask('POST', '/sessions', { queue: true });
  expect(queued.status).toBe(202);
  expect(queued.body).toMatchObject({ status: 'queued', place: 1 });
  await launcher.get(first.body.session_id)?.close();
  await launcher.get(queued.body.session_id)?.active;
  expect((await ask('GET', `/sessions/${queued.body.session_id}`)).body).toMatchObject({ status: 'active' });
});

test('racing starts over HTTP keep the limit', async () => {
  const { ask } = await served({ maxSessionsPerCall: 1 });
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask('POST', '/sessions', { call_id: 'one' })));
  expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
    201,
    ...Array.from({ length: 11 }, () => 429),
  ]);
});

test('a joinCall that throws leaves a session that says so, and a waiting start answers with the error', async () => {
  const { ask } = await served({
    joinCall: () => {
      throw new ParleyError('unavailable', 'the telephone line is cut');
    },
  });
  const started = await ask('POST', '/sessions', {});
  expect(started.status).toBe(201);
  await expect.poll(async () => (await ask('GET', `/sessions/${started.body.session_id}`)).body.status).toBe('failed');
  expect((await ask('GET', `/sessions/${started.body.session_id}`)).body.error).toMatchObject({
    code: 'unavailable',
    message: 'the telephone line is cut',
  });
  const waited = await ask('POST', '/sessions?wait=active', {});
  expect(waited.status).toBe(503);
  expect(waited.body.error.details.session_id).toMatch(/^sess_/);
});

test('a start that does not become active in time says which session it is', async () => {
  const { ask } = await served({ joinCall: () => new Promise(() => undefined) });
  const late = await ask('POST', '/sessions?wait=active&timeout_ms=20', {});
  expect(late.status).toBe(504);
  expect(late.body.error.details).toMatchObject({ session_id: expect.stringMatching(/^sess_/), status: 'starting' });
});

test.for([
  ['{', 'the body is not JSON'],
  ['[]', 'the body must be an object, got array'],
  ['{"call_id": "  "}', 'call_id must be 1 to 128 characters without white space'],
  ['{"call_id": 5}', 'call_id'],
  ['{"call_type": "No Such"}', 'call_type must match'],
  ['{"callid": "x"}', 'callid'],
  ['{"queue": "yes"}', 'queue'],
] as const)('the body %s is refused by name', async ([body, words]) => {
  const { ask, launcher } = await served();
  const answer = await ask('POST', '/sessions', body);
  expect(answer.status).toBe(400);
  expect(answer.body.error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(words) });
  expect(launcher.list()).toEqual([]);
});

test('an unknown route, an unknown session and a body that is too long are told in the one shape', async () => {
  const { ask } = await served({}, { bodyBytesMax: 1_000 });
  expect((await ask('GET', '/nothing')).body.error.code).toBe('not_found');
  expect((await ask('GET', '/sessions/sess_unknown')).body.error.code).toBe('not_found');
  expect((await ask('POST', '/sessions', { call_id: 'x'.repeat(2_000) })).body.error.code).toBe('resource_exhausted');
});

test('what a hook returns is kept with the session, and hooks decide by it', async () => {
  const user = (request: { headers: Record<string, unknown> }): { id: string } => {
    const id = request.headers['x-user'];
    if (typeof id !== 'string') throw new ParleyError('unauthenticated', 'say who you are');
    return { id };
  };
  const { ask, launcher } = await served(
    {},
    {
      canStartSession: (request) => user(request),
      canViewSession: (request, session) => {
        const { id } = user(request);
        return session === null || (session.principal as { id: string }).id === id;
      },
      canCloseSession: (_request, session) => session?.toJSON().owner === 'nobody',
      canViewMetrics: () => {
        throw new ParleyError('permission_denied', 'operators only');
      },
    },
  );
  expect((await ask('POST', '/sessions', {})).status).toBe(401);
  const mine = await ask('POST', '/sessions', {}, { 'x-user': 'ada' });
  await ask('POST', '/sessions', {}, { 'x-user': 'bob' });
  expect(mine.body.owner).toBe('ada');
  expect(launcher.get(mine.body.session_id)?.principal).toEqual({ id: 'ada' });
  const path = `/sessions/${mine.body.session_id}`;
  expect((await ask('GET', path, undefined, { 'x-user': 'bob' })).status).toBe(403);
  expect((await ask('GET', path, undefined, { 'x-user': 'ada' })).status).toBe(200);
  const listed = await ask('GET', '/sessions', undefined, { 'x-user': 'ada' });
  expect(listed.body.sessions.map(({ owner }: { owner: string }) => owner)).toEqual(['ada']);
  expect((await ask('DELETE', path, undefined, { 'x-user': 'ada' })).status).toBe(403);
  expect((await ask('GET', `${path}/metrics`)).body.error.message).toBe('operators only');
  expect((await ask('GET', '/metrics')).status).toBe(403);
  // Probes have no key.
  expect((await ask('GET', '/health')).status).toBe(200);
});

test('with a key every route but the probes needs it', async () => {
  const key = randomUUID();
  const { ask } = await served({}, { key });
  expect((await ask('GET', '/sessions')).status).toBe(401);
  expect((await ask('GET', '/sessions', undefined, { authorization: 'Bearer wrong' })).status).toBe(401);
  expect((await ask('GET', '/sessions', undefined, { authorization: `Bearer ${key}` })).status).toBe(200);
  expect((await ask('GET', '/live')).status).toBe(200);
});

test('other machines are not served without something that guards the start', () => {
  expect(() => checkExposure('0.0.0.0', {})).toThrow('can be reached from other machines');
  expect(() => checkExposure('127.0.0.1', {})).not.toThrow();
  expect(() => checkExposure('0.0.0.0', { canStartSession: () => 'me' })).not.toThrow();
});

test('pages of this machine and of listed origins may ask, others may not', async () => {
  const { ask } = await served({}, { corsAllowOrigins: ['https://shop.example'] });
  const of = (origin: string) => ask('GET', '/sessions', undefined, { origin });
  expect((await of('https://evil.example')).status).toBe(403);
  expect((await of('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  const shop = await of('https://shop.example');
  expect([shop.status, shop.headers.get('access-control-allow-origin')]).toEqual([200, 'https://shop.example']);
  expect((await of('http://localhost:5173')).status).toBe(200);
  const preflight = await ask('OPTIONS', '/sessions', undefined, {
    origin: 'https://shop.example',
    'access-control-request-method': 'POST',
  });
  expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, POST, DELETE']);
});

test('readiness tells capacity and drain, and is 503 at once when a drain begins', async () => {
  const { ask, launcher, clock } = await served({ maxConcurrentSessions: 1 });
  expect((await ask('GET', '/ready')).body).toMatchObject({ ready: false, reason: 'starting' });
  await launcher.start();
  expect(await ask('GET', '/ready')).toMatchObject({
    status: 200,
    body: { ready: true, reason: null, capacity: { limit: 1, active: 0, free: 1 }, draining: false },
  });
  await (await launcher.launch()).active;
  expect((await ask('GET', '/ready')).body).toMatchObject({ reason: 'node_at_capacity', capacity: { free: 0 } });
  const drained = launcher.drain(9_000);
  const ready = await ask('GET', '/ready');
  expect([ready.status, ready.body.reason, ready.body.draining]).toEqual([503, 'draining', true]);
  const refused = await ask('POST', '/sessions', {});
  expect([refused.status, refused.body.error.code]).toEqual([503, 'unavailable']);
  clock.advance(9_000);
  await drained;
  expect((await ask('GET', '/health')).body).toEqual({ status: 'ok', warmed_up: true, running: false });
});

test('figures are JSON, and Prometheus text for who asks for it', async () => {
  const { ask, launcher } = await served();
  await launcher.start();
  await ask('POST', '/sessions', {});
  expect((await ask('GET', '/metrics')).body).toMatchObject({
    active_sessions: 1,
    total_sessions_started: 1,
    warmed_up: true,
    running: true,
  });
  const { text } = await ask('GET', '/metrics', undefined, { accept: 'text/plain' });
  expect(text).toContain('parley_launcher_active_sessions 1');
  expect(text).toContain('parley_launcher_sessions_started_total 1');
  expect(text).toContain('# TYPE parley_launcher_active_sessions gauge');
  expect(text).toContain('# TYPE parley_launcher_sessions_started_total counter');
  const again = await ask('GET', '/metrics?format=prometheus');
  expect(again.text).toContain('parley_launcher_sessions_started_total 1');
});

test('every route is in the OpenAPI document', async () => {
  const { ask } = await served();
  const { paths } = (await ask('GET', '/openapi.json')).body as { paths: Record<string, Record<string, unknown>> };
  expect(Object.keys(paths['/sessions'] ?? {})).toEqual(['post', 'get']);
  expect(Object.keys(paths['/calls/{call_id}/sessions/{session_id}'] ?? {})).toEqual(['get', 'delete']);
  for (const path of [
    '/sessions/{session_id}/close',
    '/sessions/{session_id}/metrics',
    '/health',
    '/live',
    '/ready',
    '/metrics',
  ]) {
    expect(paths).toHaveProperty([path]);
  }
});

test("somebody's own app serves the sessions, with its own routes, hooks and errors left as they are", async () => {
  const app = fastify();
  app.get('/mine', () => ({ mine: true }));
  app.get('/broken', () => {
    throw new Error('my own words');
  });
  const { ask } = await served({}, { app, prefix: '/agent' });
  expect((await ask('GET', '/mine')).body).toEqual({ mine: true });
  expect((await ask('GET', '/broken')).body).toMatchObject({ statusCode: 500, message: 'my own words' });
  expect((await ask('POST', '/agent/sessions', { call_id: 'x' })).status).toBe(201);
  expect((await ask('GET', '/sessions')).status).toBe(404);
  expect((await ask('GET', '/agent/openapi.json')).body.paths).toHaveProperty(['/agent/sessions']);
});

test('a client with the token of a session is in its call, and one without it is not', async () => {
  const simulator = await startSimulator({
    script: parseScript('otherwise: "You said: {{heard}}"'),
    voice: 'coded',
    pace: Number.POSITIVE_INFINITY,
  });
  onTestFinished(() => simulator.close());
  const model = createModel('simulator', { base_url: `${simulator.url}/v1` });
  const { ask, url, launcher } = await served({
    createAgent: newAgent,
    joinCall: async (agent, type, id) => {
      await using _call = await agent.join(agent.createCall(type, id));
      await agent.finish();
    },
    leaseModel: async () => ({ model, release: () => undefined }),
  });
  const { body } = await ask('POST', '/sessions?wait=active', { call_id: 'talk' });
  const at = `${url.replace('http', 'ws')}${body.realtime_path}`;
  const stranger = new WebSocket(at, ['realtime', 'parley.token.AAAA']);
  const [, refusal] = (await once(stranger, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(refusal.statusCode).toBe(401);
  const socket = new WebSocket(at, ['realtime', `parley.token.${body.client_token}`]);
  const frames: { type: string }[] = [];
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString()) as { type: string }));
  await expect.poll(() => frames[0]?.type).toBe('session.created');
  const content = [{ type: 'input_text', text: 'hello' }];
  socket.send(JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } }));
  socket.send(JSON.stringify({ type: 'response.create' }));
  await expect.poll(() => frames.some(({ type }) => type === 'response.done')).toBe(true);
  expect(frames.filter(({ type }) => type === 'session.created')).toHaveLength(1);
  socket.close(1000);
  const session = launcher.get(body.session_id);
  await session?.finished;
  expect(session).toMatchObject({ status: 'ended', reason: 'client_left' });
  expect((await ask('GET', `/sessions/${body.session_id}/metrics`)).body).toMatchObject({ turns: 1, responses: 1 });
});
