// The WebSocket of the OpenAI door, with the clients that people use, unmodified.

import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { RealtimeAgent, tool } from '@openai/agents-realtime';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificate } from './support/certificate.ts';
import { Client } from './support/client.ts';
import { House } from './support/house.ts';
import { agentsCall, base64, nodeCall, samples } from './support/openai-clients.ts';
import { type SupportAgent, supportAgent } from './support/support-agent.ts';

const KEY = 'a-key-of-thirty-two-characters-0';
const VOICE = { modalities: ['audio', 'text'] as ('audio' | 'text')[], instructions: 'Be kind.', voice: 'cedar' };
const STORY = 'Once upon a time there was a parcel that travelled through seven countries and met somebody in each.';

let tls: { cert: string; key: string };
let house: House;
let support: SupportAgent;
beforeAll(async () => {
  tls = await certificate();
  house = await House.open({ keys: [KEY], simulator: { pace: 20 } });
  support = supportAgent(VOICE);
  support.agent.session('page', { ...VOICE, provider: 'simulator', transport: 'webrtc', media: 'bridge' });
  await house.serve(support.agent);
});
afterAll(() => house[Symbol.asyncDispose]());

test('agents-realtime holds a call: its session.update is answered, text and sound cross, the tool runs on the server', async () => {
  const agent = new RealtimeAgent({ name: 'support', instructions: 'Never be kind.', voice: 'alloy' });
  using call = await agentsCall(agent, `${house.server.url}/v1/realtime?model=support.voice`, KEY);
  const created = (await call.frames.next('session.created'))['session'] as Record<string, unknown>;
  expect(created).toMatchObject({
    model: 'support.voice',
    instructions: '',
    tools: [],
    audio: { output: { voice: 'cedar' } },
  });
  const updated = (await call.frames.next('session.updated'))['session'];
  expect(updated).toEqual(created);
  const session_id = created['id'] as string;

  call.session.sendMessage('order 1');
  await call.frames.next('response.done');
  const spoken = await call.frames.next('response.output_audio_transcript.done');
  expect(spoken['transcript']).toBe('Order 1 ships on Monday.');
  await call.frames.next('response.done');
  call.sound.length = 0;
  const pcm = await encodeSpeech('order 2');
  call.session.sendAudio(Uint8Array.from(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)).buffer);
  await call.frames.next(
    'response.output_audio_transcript.done',
    (one) => one['transcript'] === 'Order 2 ships on Tuesday.',
  );
  await call.frames.next('response.done');
  expect(await decodeSpeech(samples(call.sound), 24_000)).toBe('Order 2 ships on Tuesday.');
  expect(support.found).toEqual([{ order: '1' }, { order: '2' }]);
  expect(call.errors).toEqual([]);
  expect(JSON.stringify(call.frames.all)).not.toContain('find_order');

  const events = await house.api.events(session_id);
  expect(events[0]).toMatchObject({ type: 'session.created', metadata: { door: 'openai' } });
  expect(events.filter(({ type }) => type === 'tool.answered')).toHaveLength(2);
  const ignored = events.find((event) => event.type === 'client.rejected');
  expect(ignored).toMatchObject({
    error: { code: 'permission_denied', details: { fields: expect.arrayContaining(['instructions']) } },
  });
  call.session.close();
  expect(await house.api.until(session_id, 'session.closed')).toMatchObject({ reason: 'client_left' });
});

test('agents-realtime is interrupted by speech, and what it asks about items is answered', async () => {
  using call = await agentsCall(
    new RealtimeAgent({ name: 'support', instructions: '' }),
    `${house.server.url}/v1/realtime?model=support.voice`,
    KEY,
  );
  await call.frames.next('session.updated');
  call.session.sendMessage(STORY);
  await call.frames.next('response.output_audio.delta');
  const pcm = await encodeSpeech('stop');
  call.session.sendAudio(Uint8Array.from(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)).buffer);
  await call.frames.next('input_audio_buffer.speech_started');
  await call.frames.next('response.output_audio_transcript.done', (one) => one['transcript'] === 'You said: stop');
  await call.frames.next('response.done');
  expect(call.interruptions()).toBeGreaterThan(0);
  expect(call.frames.types()).toContain('conversation.item.truncated');
  expect(call.frames.types()).toContain('conversation.item.retrieved');
  const others = call.errors.filter((error) => !JSON.stringify(error).includes('response_cancel_not_active'));
  expect(others).toEqual([]);
});

test("a client's own tools are named in an error and never called; those that the session has run on the server", async () => {
  let called = 0;
  const own = (name: string) =>
    tool({
      name,
      description: name,
      parameters: { type: 'object', properties: {}, required: [], additionalProperties: true } as never,
      strict: false as never,
      execute: async () => {
        called += 1;
        return 'from the client';
      },
    });
  const before = support.found.length;
  using call = await agentsCall(
    new RealtimeAgent({ name: 'support', instructions: '', tools: [own('find_order'), own('open_door')] }),
    `${house.server.url}/v1/realtime?model=support.voice`,
    KEY,
  );
  const error = (await call.frames.next('error'))['error'];
  expect(error).toMatchObject({
    type: 'invalid_request_error',
    code: 'tools_run_on_the_server',
    param: 'session.tools',
    message: expect.stringContaining('none named open_door:'),
  });
  call.session.sendMessage('order 1');
  await call.frames.next(
    'response.output_audio_transcript.done',
    (one) => one['transcript'] === 'Order 1 ships on Monday.',
  );
  expect(called).toBe(0);
  expect(support.found.length).toBe(before + 1);
});

test('the openai client holds a call over wss: text, sound, an interruption, errors; and a tool on the server', async () => {
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, tls.cert]);
  try {
    await using secure = await House.open({ keys: [KEY], tls, simulator: { pace: 20 } });
    expect(secure.server.url).toMatch(/^https:/);
    const own = supportAgent(VOICE);
    await secure.serve(own.agent);
    const openai = new OpenAI({ apiKey: KEY, baseURL: `${secure.server.url}/v1` });
    using call = nodeCall(openai, 'support.voice', tls.cert);
    const created = await call.frames.next('session.created');
    call.realtime.send({ type: 'session.update', session: { type: 'realtime', instructions: 'x' }, event_id: 'mine' });
    expect((await call.frames.next('session.updated'))['session']).toEqual(created['session']);
    const content = [{ type: 'input_text' as const, text: 'order 1' }];
    call.realtime.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    call.realtime.send({ type: 'response.create' });
    await call.frames.next(
      'response.output_audio_transcript.done',
      (one) => one['transcript'] === 'Order 1 ships on Monday.',
    );
    const { response } = await call.frames.next('response.done');
    const done = response as { id: string };
    const heard = call.frames.all.filter(
      (one) => one.type === 'response.output_audio.delta' && one['response_id'] === done.id,
    );
    const sound = heard.map((one) => Buffer.from(String(one['delta']), 'base64'));
    expect(await decodeSpeech(samples(sound), 24_000)).toBe('Order 1 ships on Monday.');
    expect(own.found).toEqual([{ order: '1' }]);

    call.realtime.send({ type: 'input_audio_buffer.append', audio: base64(await encodeSpeech(STORY.slice(0, 60))) });
    const delta = await call.frames.next('response.output_audio.delta');
    call.realtime.send({ type: 'input_audio_buffer.append', audio: base64(await encodeSpeech('stop')) });
    const cut = (await call.frames.next('response.done'))['response'];
    expect(cut).toMatchObject({
      id: delta['response_id'],
      status: 'cancelled',
      status_details: { reason: 'turn_detected' },
    });
    await call.frames.next('response.done');

    // What a client may not: each refusal has the shape of OpenAI's, and names the event.
    call.realtime.send({
      type: 'conversation.item.create',
      event_id: 'forged',
      item: { type: 'function_call_output', call_id: 'call_1', output: '{}' },
    });
    const refused = await call.frames.next('error');
    expect(refused['error']).toMatchObject({ type: 'invalid_request_error', event_id: 'forged', param: 'item.type' });
    call.realtime.send({
      type: 'session.update',
      event_id: 'phone',
      session: { type: 'realtime', audio: { input: { format: { type: 'audio/pcmu' } } } },
    });
    const format = await call.frames.next('error');
    expect(format['error']).toMatchObject({
      code: 'invalid_value',
      param: 'session.audio.input.format',
      event_id: 'phone',
    });
  } finally {
    setDefaultCACertificates(trusted);
  }
});

test.each([
  ['a key that nobody made', 'support.voice', 'sk-wrong', 3000, 'invalid_api_key'],
  ['a target that nobody offers', 'support.fax', KEY, 4000, 'model_not_found'],
  ['a model that is no target', 'gpt-realtime-2.1', KEY, 4000, 'model_not_found'],
  ['a session of another transport', 'support.page', KEY, 4509, 'failed_precondition'],
])('%s: the upgrade succeeds, then an error, then the close', async (_what, model, key, code, name) => {
  const url = `${house.server.url}/v1/realtime?model=${encodeURIComponent(model)}`;
  await using client = new Client(url, [], { headers: { authorization: `Bearer ${key}` } });
  expect((await client.next('error'))['error']).toMatchObject({ type: 'invalid_request_error', code: name });
  expect(await client.closed).toEqual({ code, reason: `invalid_request_error.${name}` });
  expect(client.frames).toHaveLength(1);
});

test('a client without a key, one of the beta, one without a model and one with another intent are told so', async () => {
  const url = `${house.server.url}/v1/realtime`;
  const dial = (query: string, headers: Record<string, string>, protocols: string[] = []) =>
    new Client(url + query, protocols, { headers });
  const authorization = `Bearer ${KEY}`;
  const told = async (client: Client) => {
    await using one = client;
    return { ...((await one.next('error'))['error'] as object), ...(await one.closed) };
  };
  expect(await told(dial('?model=support.voice', {}))).toMatchObject({
    code: 3000,
    message: expect.stringContaining('Missing bearer'),
  });
  const beta = { code: 4000, reason: 'invalid_request_error.beta_api_shape_disabled' };
  expect(await told(dial('?model=support.voice', { authorization, 'openai-beta': 'realtime=v1' }))).toMatchObject(beta);
  expect(
    await told(
      dial('?model=support.voice', {}, ['realtime', `openai-insecure-api-key.${KEY}`, 'openai-beta.realtime-v1']),
    ),
  ).toMatchObject(beta);
  expect(await told(dial('', { authorization }))).toMatchObject({ reason: 'invalid_request_error.missing_model' });
  expect(await told(dial('?model=support.voice&intent=transcription', { authorization }))).toMatchObject({
    reason: 'invalid_request_error.invalid_value',
  });
});

test('keys come by Authorization, by api-key, and by the subprotocol of pages, and a target may be encoded', async () => {
  const url = `${house.server.url}/v1/realtime?model=support%2Evoice`;
  for (const [protocols, headers] of [
    [[], { authorization: `Bearer ${KEY}` }],
    [[], { 'api-key': KEY }],
    [['realtime', `openai-insecure-api-key.${KEY}`, 'openai-agents-sdk.0.20.0'], {}],
  ] as [string[], Record<string, string>][]) {
    await using client = new Client(url, protocols, { headers: { ...headers, 'openai-safety-identifier': 'user-7' } });
    const { session } = await client.next('session.created');
    expect(client.socket.protocol).toBe(protocols[0] ?? '');
    expect(await house.api.get(`/api/v1/sessions/${(session as { id: string }).id}`)).toMatchObject({
      metadata: { door: 'openai', user_id: 'user-7' },
    });
    client.socket.close(1000);
    await client.closed;
  }
});

test('a session whose client was cut off ends: a client of OpenAI knows no way back to it', async () => {
  await using client = new Client(`${house.server.url}/v1/realtime?model=support.voice`, [], {
    headers: { authorization: `Bearer ${KEY}` },
  });
  const { session } = await client.next('session.created');
  client.cut();
  expect(await house.api.until((session as { id: string }).id, 'session.closed')).toMatchObject({
    reason: 'client_left',
  });
});

test('a session that reaches its longest duration says so as OpenAI does', async () => {
  await using own = await House.open({ keys: [KEY] });
  await own.serve(supportAgent({ ...VOICE, limits: { maxDurationMs: 1500 } }).agent);
  await using client = new Client(`${own.server.url}/v1/realtime?model=support.voice`, [], {
    headers: { authorization: `Bearer ${KEY}` },
  });
  expect((await client.next('error'))['error']).toMatchObject({ code: 'session_expired' });
  expect(await client.closed).toMatchObject({ code: 1001, reason: expect.stringContaining('maximum duration') });
});

test('a provider that cannot be reached is told by an error and a close', async () => {
  await using own = await House.open({ keys: [KEY], providers: { simulator: { base_url: 'http://127.0.0.1:1/v1' } } });
  await own.serve(supportAgent(VOICE).agent);
  await using client = new Client(`${own.server.url}/v1/realtime?model=support.voice`, [], {
    headers: { authorization: `Bearer ${KEY}` },
  });
  expect((await client.next('error'))['error']).toMatchObject({ type: 'server_error', code: 'unavailable' });
  expect((await client.closed).code).toBeGreaterThan(4000);
});
