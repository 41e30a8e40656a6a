import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { ParleyClient } from './client.ts';
import { FakeControlPlane, refusal, sessionResource } from './control-plane.test.fake.ts';

const SESSION = '/api/v1/sessions/sess_1';

async function thrownBy(promise: Promise<unknown>): Promise<ParleyError> {
  const value = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(value instanceof ParleyError)) throw new Error(`expected a ParleyError, got ${String(value)}`);
  return value;
}

test('an error body becomes a ParleyError that keeps its details and its request id', async () => {
  await using peer = await FakeControlPlane.start();
  const limit = new ParleyError('resource_exhausted', 'full', { retryable: false, details: { limit: 10 } });
  peer.route(`GET ${SESSION}`, null, () => refusal(limit));
  const error = await thrownBy(new ParleyClient({ url: peer.url }).sessions.get('sess_1'));
  expect(error).toMatchObject({
    code: 'resource_exhausted',
    message: 'full',
    requestId: 'req_1',
    details: { limit: 10 },
  });
});

test('an answer of something that is not Parley becomes an error by its status', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(`GET ${SESSION}`, null, () => ({ status: 403, text: '<h1>Proxy</h1>' }));
  const error = await thrownBy(new ParleyClient({ url: peer.url }).sessions.get('sess_1'));
  expect(error.code).toBe('permission_denied');
  expect(error.message).toContain('<h1>Proxy</h1>');

  const theirs = { error: { code: 'invalid_api_key', message: 'no', type: 'invalid_request_error', param: null } };
  peer.route(`GET ${SESSION}`, null, () => ({ status: 401, text: JSON.stringify(theirs) }));
  const other = await thrownBy(new ParleyClient({ url: peer.url }).sessions.get('sess_1'));
  expect(other.code).toBe('unauthenticated');
  expect(other.message).toContain('without a Parley error body');
});

test('nobody at the address is unavailable, and the message names the address', async () => {
  const peer = await FakeControlPlane.start();
  const { url } = peer;
  await peer[Symbol.asyncDispose]();
  const error = await thrownBy(new ParleyClient({ url, key: 'secret-key', retries: 0 }).health());
  expect(error.code).toBe('unavailable');
  expect(error.message).toContain(url);
  expect(error.message).toContain('ECONNREFUSED');
  expect(error.message).not.toContain('secret');
});

test('an address with credentials is refused without showing them', () => {
  expect(() => new ParleyClient({ url: 'http://me:secret@127.0.0.1:1' })).toThrow(/must not hold credentials/);
  expect(() => new ParleyClient({ url: 'ftp://127.0.0.1' })).toThrow(/must start with http/);
  expect(() => new ParleyClient({ url: 'nonsense secret' })).not.toThrow(/secret/);
});

test('the key travels in the Authorization header and nowhere else', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(`GET ${SESSION}`, null, () => ({ body: sessionResource('sess_1') }));
  await new ParleyClient({ url: peer.url, key: 'secret-key' }).sessions.get('sess_1');
  expect(peer.asked[0]?.headers.authorization).toBe('Bearer secret-key');
  expect(peer.asked[0]?.url).not.toContain('secret');
});

test('a GET is tried again after a retryable error', async () => {
  await using peer = await FakeControlPlane.start();
  let tries = 0;
  peer.route(`GET ${SESSION}`, null, () => {
    tries += 1;
    return tries < 3
      ? refusal(new ParleyError('unavailable', 'not yet', { retry_after_ms: 1 }))
      : { body: sessionResource('sess_1') };
  });
  await new ParleyClient({ url: peer.url }).sessions.get('sess_1');
  expect(tries).toBe(3);
});

test('a POST is tried again only with an idempotency key, and then with the same one', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('POST /api/v1/sessions/support.voice/start', 'StartRequest', () =>
    refusal(new ParleyError('unavailable', 'no')),
  );
  const { sessions } = new ParleyClient({ url: peer.url, retries: 1 });
  await thrownBy(sessions.start('support.voice'));
  expect(peer.asked).toHaveLength(1);
  await thrownBy(sessions.start('support.voice', {}, { idempotencyKey: 'once' }));
  expect(peer.asked).toHaveLength(3);
  expect(peer.asked.slice(1).map((asked) => asked.headers['idempotency-key'])).toEqual(['once', 'once']);
});

test('whatever a session is asked under a key is asked again under it', async () => {
  await using peer = await FakeControlPlane.start();
  for (const what of ['say', 'inject', 'update', 'tools/find', 'turns']) {
    peer.route(`POST ${SESSION}/${what}`, null, () => refusal(new ParleyError('unavailable', 'no')));
  }
  const { sessions } = new ParleyClient({ url: peer.url, retries: 1 });
  const key = { idempotencyKey: 'once' };
  for (const ask of [
    () => sessions.say('sess_1', 'Welcome.', key),
    () => sessions.inject('sess_1', 'late', { ...key, respond: false }),
    () => sessions.update('sess_1', { voice: 'cedar' }, key),
    () => sessions.tool('sess_1', 'find', {}, key),
    () => sessions.turn('sess_1', { text: 'hello' }, key),
  ]) {
    peer.asked.length = 0;
    expect((await thrownBy(ask())).code).toBe('unavailable');
    expect(peer.asked.map((asked) => asked.headers['idempotency-key'])).toEqual(['once', 'once']);
  }
});

test('a server that asks for a long pause gets no retry', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(`GET ${SESSION}`, null, () =>
    refusal(new ParleyError('unavailable', 'later', { retry_after_ms: 60_000 })),
  );
  const error = await thrownBy(new ParleyClient({ url: peer.url }).sessions.get('sess_1'));
  expect(error.retryAfterMs).toBe(60_000);
  expect(peer.asked).toHaveLength(1);
});

test('a server that does not answer is deadline_exceeded, and an abort is cancelled', async () => {
  await using peer = await FakeControlPlane.start();
  const abort = new AbortController();
  peer.route(`GET ${SESSION}`, null, () => () => {});
  peer.route('GET /health', null, () => () => abort.abort());
  const client = new ParleyClient({ url: peer.url, timeoutMs: 30, retries: 0 });
  expect((await thrownBy(client.sessions.get('sess_1'))).code).toBe('deadline_exceeded');
  expect((await thrownBy(client.health({ signal: abort.signal, timeoutMs: 10_000 }))).code).toBe('cancelled');
});

test('an answer past the bound is not read to its end', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(`GET ${SESSION}`, null, () => ({ body: { filler: 'x'.repeat(10_000) } }));
  const error = await thrownBy(new ParleyClient({ url: peer.url, answerBytesMax: 1000 }).sessions.get('sess_1'));
  expect(error).toMatchObject({ code: 'resource_exhausted', retryable: false });
});

test('a body that broke off is unavailable', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(`GET ${SESSION}`, null, () => (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
    response.write('{');
    setImmediate(() => response.destroy());
  });
  const error = await thrownBy(new ParleyClient({ url: peer.url, retries: 0 }).sessions.get('sess_1'));
  expect(error.code).toBe('unavailable');
});
