import { once } from 'node:events';
import { createServer } from 'node:net';
import { ParleyError } from '@parley/core';
import { afterEach, expect, test } from 'vitest';
import { createModel } from '../registry.ts';
import { handClock, SESSION } from '../test-support/connected.ts';
import { type GaPeer, type GaPeerOptions, gaPeer } from '../test-support/ga-peer.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function provider(options?: GaPeerOptions): Promise<GaPeer> {
  const peer = await gaPeer(options);
  cleanups.push(async () => peer[Symbol.asyncDispose]());
  return peer;
}

const key = 'sk-test-0123456789';

async function refusal(promise: Promise<unknown>): Promise<ParleyError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ParleyError);
  const refused = error as ParleyError;
  const told = JSON.stringify(refused.toBody());
  expect(told).not.toContain('0123456789');
  expect(told).not.toContain('secret keeper');
  expect(refused.details).toMatchObject({ boundary: 'parley -> provider' });
  return refused;
}

test('the session that was declared is the session that is asked for', async () => {
  const peer = await provider();
  const model = createModel('openai', { base_url: `${peer.base_url}/`, key });
  const connection = await model.connect({ ...SESSION, responder: 'handler', safety_id: 'hash_1' });
  expect(connection.provider_session_id).toBe('sess_peer');
  expect(peer.request.url).toBe('/v1/realtime?model=gpt-realtime-2.1');
  expect(peer.request.headers).toMatchObject({ authorization: `Bearer ${key}`, 'openai-safety-identifier': 'hash_1' });
  expect(peer.received[0]?.['session']).toEqual({
    type: 'realtime',
    output_modalities: ['audio'],
    instructions: SESSION.instructions,
    tools: [
      { type: 'function', name: 'lookup', description: 'Looks up.', parameters: { type: 'object', properties: {} } },
    ],
    tool_choice: 'auto',
    audio: {
      input: {
        format: { type: 'audio/pcm', rate: 24_000 },
        turn_detection: { type: 'server_vad', threshold: 0.5, create_response: false },
        transcription: { model: 'gpt-transcribe', language: 'en' },
      },
      output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'marin' },
    },
  });
  connection.close();
  await connection.closed;
});

test('a session of text has no sound in it', async () => {
  const peer = await provider();
  const model = createModel('openai', { base_url: peer.base_url, key, transcription_model: 'other' });
  const connection = await model.connect({ ...SESSION, modalities: ['text'] });
  expect(peer.received[0]?.['session']).toMatchObject({
    output_modalities: ['text'],
    audio: { input: { turn_detection: null, transcription: null } },
  });
  connection.close();
  await connection.closed;
});

test.each([
  [401, 'unauthenticated'],
  [403, 'permission_denied'],
  [404, 'invalid_argument'],
  [429, 'resource_exhausted'],
  [503, 'unavailable'],
])('an upgrade that is answered with %i is %s', async (upgradeStatus, code) => {
  const peer = await provider({ upgradeStatus });
  const error = await refusal(createModel('openai', { base_url: peer.base_url, key }).connect(SESSION));
  expect(error).toMatchObject({ code, details: { status: upgradeStatus } });
});

test.each([
  ['invalid_api_key', `Incorrect API key provided: ${key}.`, 3000, 'unauthenticated'],
  [null, 'Missing bearer or basic authentication in header', 3000, 'unauthenticated'],
  ['beta_api_shape_disabled', 'The beta is over.', 4000, 'failed_precondition'],
  ['model_not_found', 'No such model.', 4004, 'invalid_argument'],
  ['insufficient_quota', 'You exceeded your quota.', 1008, 'resource_exhausted'],
] as const)('an open socket that ends with %s is a refusal', async (provider_code, message, close, code) => {
  const peer = await provider({
    greet: (self) => {
      self.say({
        type: 'error',
        error: { type: 'invalid_request_error', code: provider_code, message, event_id: null },
      });
      self.close(close, `invalid_request_error.${provider_code}`);
    },
  });
  const error = await refusal(createModel('openai', { base_url: peer.base_url, key }).connect(SESSION));
  expect(error).toMatchObject({ code, retryable: false });
});

test('a session that is refused names what was wrong, and not the instructions', async () => {
  const peer = await provider({
    update: (self, { event_id }) => {
      const message = `Invalid value: '${SESSION.instructions}'.`;
      self.say({
        type: 'error',
        error: {
          type: 'invalid_request_error',
          code: 'invalid_value',
          message,
          param: 'session.instructions',
          event_id,
        },
      });
    },
  });
  const error = await refusal(createModel('openai', { base_url: peer.base_url, key }).connect(SESSION));
  expect(error).toMatchObject({ code: 'invalid_argument', details: { param: 'session.instructions' } });
  expect(error.message).toBe("Invalid value: '…");
});

test('a provider that confirms nothing is deadline_exceeded', async () => {
  const peer = await provider({ update: () => undefined });
  const clock = handClock();
  const connecting = refusal(createModel('openai', { base_url: peer.base_url, key }, { clock }).connect(SESSION));
  await peer.next('session.update');
  clock.advance(10_000);
  expect(await connecting).toMatchObject({ code: 'deadline_exceeded', retryable: true });
});

test('connecting ends when its signal says so', async () => {
  const peer = await provider({ update: () => undefined });
  const stop = new AbortController();
  const model = createModel('openai', { base_url: peer.base_url, key });
  const connecting = refusal(model.connect({ ...SESSION, signal: stop.signal }));
  await peer.next('session.update');
  stop.abort();
  expect(await connecting).toMatchObject({ code: 'cancelled' });
});

test('a provider that is not there is unavailable', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  await new Promise((resolve) => server.close(resolve));
  const model = createModel('openai', { base_url: `http://127.0.0.1:${address.port}/v1`, key });
  expect(await refusal(model.connect(SESSION))).toMatchObject({ code: 'unavailable', retryable: true });
});

test.each(['', 'api.openai.com/v1', 'file:///v1'])('an address that cannot be is refused at once: %j', (base_url) => {
  expect(() => createModel('openai', { base_url, key })).toThrow(
    'base_url must start with http://, https://, ws:// or wss://',
  );
});

test('a second session.updated is not a second session', async () => {
  const peer = await provider({
    update: (self, { session }) => self.say({ type: 'session.updated', session }, { type: 'session.updated', session }),
  });
  const connection = await createModel('openai', { base_url: peer.base_url, key }).connect(SESSION);
  const types: string[] = [];
  connection.onEvent(() => types.push('event'));
  connection.media.onFrame((frame) => types.push((JSON.parse(frame.toString()) as { type: string }).type));
  peer.close(1000, '');
  await connection.closed;
  expect(types).toEqual(['session.created', 'session.updated']);
});

test('the simulator is asked with any key, and an unknown provider is named', async () => {
  const peer = await provider();
  const model = createModel('simulator', { base_url: peer.base_url });
  expect(model).toMatchObject({ provider: 'simulator', capabilities: { auth: 'none' } });
  const connection = await model.connect(SESSION);
  expect(peer.request.headers).toMatchObject({ authorization: 'Bearer simulator' });
  connection.close();
  await connection.closed;
  expect(() => createModel('acme', { base_url: 'http://127.0.0.1/v1' })).toThrow("Unknown session provider 'acme'");
});
