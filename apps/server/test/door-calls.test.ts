// Client secrets and calls of the OpenAI door, with the `openai` client, unmodified.

import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Caller } from './support/caller.ts';
import { Client } from './support/client.ts';
import { House, TEXT } from './support/house.ts';
import { type SupportAgent, supportAgent } from './support/support-agent.ts';

const KEY = 'a-key-of-thirty-two-characters-0';

let house: House;
let support: SupportAgent;
let openai: OpenAI;
beforeAll(async () => {
  house = await House.open({ keys: [KEY], limits: { client_secrets_max: 50 } });
  support = supportAgent();
  const tools = ['find_order'];
  support.agent.session('page', {
    ...TEXT,
    transport: 'webrtc',
    media: 'bridge',
    modalities: ['audio', 'text'],
    tools,
  });
  support.agent.session('fixed', { ...TEXT, instructions: 'Be kind.', voice: 'cedar' });
  await house.serve(support.agent);
  openai = as(KEY);
});
afterAll(() => house[Symbol.asyncDispose]());

function as(apiKey: string): OpenAI {
  return new OpenAI({ apiKey, baseURL: `${house.server.url}/v1`, maxRetries: 0 });
}

function secretFor(model: string, seconds = 60) {
  return openai.realtime.clientSecrets.create({
    expires_after: { anchor: 'created_at', seconds },
    session: { type: 'realtime', model },
  });
}

/** The connection of a client secret, as a page makes it. */
function page(secret: string, query = ''): Client {
  return new Client(`${house.server.url}/v1/realtime${query}`, ['realtime', `openai-insecure-api-key.${secret}`]);
}

test('a client secret opens sockets of its target until it expires, more than once, and shows a frozen session', async () => {
  const before = Date.now();
  const secret = await secretFor('support.voice', 30);
  expect(secret.value).toMatch(/^ek_[\w-]{43}$/);
  expect(secret.expires_at * 1000 - before).toBeGreaterThan(28_000);
  expect(secret.expires_at * 1000 - before).toBeLessThan(40_000);
  expect(secret.session).toMatchObject({ type: 'realtime', object: 'realtime.session', model: 'support.voice' });
  for (const query of ['', '?model=support.voice']) {
    await using client = page(secret.value, query);
    await client.next('session.created');
    client.ask('order 1');
    expect(await client.answer()).toBe('Order 1 ships on Monday.');
    expect(client.socket.protocol).toBe('realtime');
  }
  await using other = page(secret.value, '?model=support.fixed');
  expect((await other.next('error'))['error']).toMatchObject({ code: 'permission_denied', param: 'model' });
});

test('what a declaration leaves open may be said with the secret; what it says stays', async () => {
  const made = async (model: string) => {
    const session = {
      type: 'realtime' as const,
      model,
      instructions: 'Be quick.',
      audio: { output: { voice: 'alloy' } },
    };
    const { value } = await openai.realtime.clientSecrets.create(
      { session },
      { headers: { 'OpenAI-Safety-Identifier': 'user-7' } },
    );
    await using client = page(value);
    const created = (await client.next('session.created'))['session'] as { id: string };
    const [first] = await house.api.events(created.id);
    return first;
  };
  expect(await made('support.voice')).toMatchObject({
    declaration: { instructions: 'Be quick.', voice: 'alloy' },
    metadata: { door: 'openai', user_id: 'user-7' },
  });
  expect(await made('support.fixed')).toMatchObject({ declaration: { instructions: 'Be kind.', voice: 'cedar' } });
});

test.each([
  [
    { expires_after: { anchor: 'created_at', seconds: 9 }, session: { model: 'support.voice' } },
    400,
    'expires_after.seconds',
    'invalid_value',
  ],
  [
    { expires_after: { seconds: 7201 }, session: { model: 'support.voice' } },
    400,
    'expires_after.seconds',
    'invalid_value',
  ],
  [
    { expires_after: { seconds: 10.5 }, session: { model: 'support.voice' } },
    400,
    'expires_after.seconds',
    'invalid_value',
  ],
  [
    { expires_after: { anchor: 'last_used' }, session: { model: 'support.voice' } },
    400,
    'expires_after.anchor',
    'invalid_value',
  ],
  [{ session: { type: 'transcription', model: 'support.voice' } }, 400, 'session.type', 'invalid_value'],
  [{ session: 'support.voice' }, 400, 'session', 'invalid_value'],
  [{ session: { type: 'realtime' } }, 400, 'session.model', 'missing_model'],
  [{}, 400, 'session.model', 'missing_model'],
  [{ session: { model: 'support.fax' } }, 404, 'model', 'model_not_found'],
  [{ session: { model: 'gpt-realtime-2.1' } }, 404, 'model', 'model_not_found'],
])('a secret is refused in the shape of OpenAI: %j', async (body, status, param, code) => {
  const refused = openai.post('/realtime/client_secrets', { body });
  await expect(refused).rejects.toMatchObject({ status, code, param, type: 'invalid_request_error' });
});

test('errors of HTTP have the shape that the openai client parses', async () => {
  await expect(as('sk-wrong').realtime.clientSecrets.create({})).rejects.toMatchObject({
    status: 401,
    code: 'invalid_api_key',
    type: 'invalid_request_error',
    requestID: expect.stringMatching(/^req_/),
  });
  await expect(openai.post('/realtime/sessions', { body: {} })).rejects.toMatchObject({
    status: 404,
    type: 'invalid_request_error',
  });
  await expect(openai.realtime.calls.hangup('rtc_unknown')).rejects.toMatchObject({
    status: 404,
    code: 'call_id_not_found',
  });
  const { key } = await house.api.post<{ key: string }>('/api/v1/access/keys', { name: 'o', scopes: ['observe'] });
  await expect(as(key).realtime.clientSecrets.create({})).rejects.toMatchObject({
    status: 403,
    code: 'permission_denied',
  });
  const bad = await fetch(`${house.server.url}/v1/realtime/client_secrets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: '{"half',
  });
  expect(await bad.json()).toMatchObject({
    error: { code: 'invalid_value', type: 'invalid_request_error', param: null },
  });
});

test('calls.create answers an offer, the call is an ordinary session, and hangup ends it', async () => {
  await using caller = await Caller.open();
  const sdp = await caller.peer.offer();
  const response = await openai.realtime.calls.create({ sdp, session: { type: 'realtime', model: 'support.page' } });
  expect(response.status).toBe(201);
  expect(response.headers.get('content-type')).toMatch(/^application\/sdp/);
  const call_id = response.headers.get('location')?.split('/').pop() as string;
  expect(call_id).toMatch(/^rtc_/);
  const session_id = response.headers.get('x-session-id') as string;
  await caller.peer.accept(await response.text());
  await caller.opened();
  const created = (await caller.next('session.created'))['session'];
  expect(created).toMatchObject({ id: session_id, model: 'support.page', instructions: '', tools: [] });
  caller.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Be mine.', tools: [] } });
  expect((await caller.next('session.updated'))['session']).toEqual(created);
  caller.ask('order 1');
  await caller.next('response.output_audio_transcript.done', (one) => one['transcript'] === 'Order 1 ships on Monday.');
  expect(support.found.at(-1)).toEqual({ order: '1' });

  // The sideband is the control plane's: who asks for it is told where to go; a secret is told nothing.
  await using side = new Client(`${house.server.url}/v1/realtime?call_id=${call_id}`, [], {
    headers: { authorization: `Bearer ${KEY}` },
  });
  expect((await side.next('error'))['error']).toMatchObject({
    code: 'sideband_is_taken',
    message: expect.stringContaining(session_id),
  });
  const { value } = await secretFor('support.page');
  await expect(page(value, `?call_id=${call_id}`).opened).rejects.toThrow('404');
  await expect(as(value).realtime.calls.hangup(call_id)).rejects.toMatchObject({ status: 403 });

  await openai.realtime.calls.hangup(call_id);
  expect(await house.api.until(session_id, 'session.closed')).toMatchObject({ reason: 'hung_up' });
  await caller.channelClosed;
  await expect(openai.realtime.calls.hangup(call_id)).rejects.toMatchObject({ status: 404, code: 'call_id_not_found' });
});

test('a bare offer with a client secret is a call of its target', async () => {
  const { value } = await secretFor('support.page');
  await using caller = await Caller.open();
  const response = await fetch(`${house.server.url}/v1/realtime/calls`, {
    method: 'POST',
    headers: { authorization: `Bearer ${value}`, 'content-type': 'application/sdp', origin: 'http://localhost:5173' },
    body: await caller.peer.offer(),
  });
  expect(response.status).toBe(201);
  expect(response.headers.get('access-control-expose-headers')).toContain('location');
  await caller.peer.accept(await response.text());
  await caller.opened();
  caller.ask('order 2');
  await caller.next(
    'response.output_audio_transcript.done',
    (one) => one['transcript'] === 'Order 2 ships on Tuesday.',
  );
});

test('offers that cannot be answered are refused, and leave no session behind', async () => {
  const post = async (body: NonNullable<RequestInit['body']>, headers: Record<string, string> = {}, query = '') => {
    const response = await fetch(`${house.server.url}/v1/realtime/calls${query}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, ...headers },
      body,
    });
    return { status: response.status, ...((await response.json()) as { error: object }).error };
  };
  const form = (parts: Record<string, string>) => {
    const data = new FormData();
    for (const [name, text] of Object.entries(parts)) data.append(name, text);
    return data;
  };
  await using caller = await Caller.open();
  const sdp = await caller.peer.offer();
  const of = (model: string) => JSON.stringify({ type: 'realtime', model });
  expect(await post(form({ session: of('support.page') }))).toMatchObject({
    status: 400,
    param: 'sdp',
    code: 'missing_required_parameter',
  });
  expect(await post(form({ sdp }))).toMatchObject({ status: 400, param: 'session' });
  expect(await post(form({ sdp, session: '{' }))).toMatchObject({ status: 400, param: 'session' });
  expect(await post(form({ sdp: 'hello', session: of('support.page') }))).toMatchObject({ status: 400, param: 'sdp' });
  expect(await post(form({ sdp, session: of('support.fax') }))).toMatchObject({ status: 404, code: 'model_not_found' });
  expect(await post(form({ sdp, session: of('support.voice') }))).toMatchObject({
    status: 400,
    param: 'model',
    code: 'failed_precondition',
  });
  expect(await post(sdp, { 'content-type': 'application/sdp' })).toMatchObject({ status: 400, code: 'missing_model' });
  expect(await post('{}', { 'content-type': 'application/json' })).toMatchObject({ status: 400 });
  expect(await post('--x', { 'content-type': 'multipart/form-data; boundary=y' })).toMatchObject({ status: 400 });
  expect(await post(`${sdp}${'a=x\r\n'.repeat(100_000)}`, { 'content-type': 'application/sdp' })).toMatchObject({
    status: 429,
  });
  const silent = sdp.replace(/m=application[\s\S]*$/, '');
  expect(await post(form({ sdp: silent, session: of('support.page') }))).toMatchObject({ status: 400 });
  const { sessions } = await house.api.get<{ sessions: { status: string; close_reason?: string }[] }>(
    '/api/v1/sessions?target=support.page&limit=1',
  );
  expect(sessions[0]).toMatchObject({ status: 'closed', close_reason: 'call_failed' });
});

test('an expired secret, and one of another server, open nothing', async () => {
  const { ClientSecrets } = await import('../src/access/client-secrets.ts');
  const secrets = new ClientSecrets(2);
  const frozen = { target: 'support.voice', request: {} };
  const { key } = secrets.issue(frozen, 1000, 0);
  expect(secrets.verify(key, 999)).toMatchObject(frozen);
  expect(() => secrets.verify(key, 1000)).toThrow('has expired');
  expect(() => secrets.verify(`${key}x`, 0)).toThrow('was not issued');
  // Full of good ones is an answer; those that are over make room.
  secrets.issue(frozen, 5000, 0);
  expect(() => secrets.issue(frozen, 5000, 500)).toThrow('limit of 2');
  secrets.issue(frozen, 5000, 2000);
  expect(secrets.size).toBe(2);
  await using client = page('ek_of-somebody-else');
  expect((await client.next('error'))['error']).toMatchObject({ code: 'invalid_api_key' });
  expect(await client.closed).toMatchObject({ code: 3000 });
});

test('the limit of secrets is told as a limit of the rate', async () => {
  await using own = await House.open({ keys: [KEY], limits: { client_secrets_max: 1 } });
  await own.serve(supportAgent().agent);
  const client = new OpenAI({ apiKey: KEY, baseURL: `${own.server.url}/v1`, maxRetries: 0 });
  const make = () => client.realtime.clientSecrets.create({ session: { type: 'realtime', model: 'support.voice' } });
  await make();
  await expect(make()).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
});
