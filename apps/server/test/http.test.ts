// What an HTTP client may get wrong, and what it is told: one shape, one code, a request id, and never a crash.

import { connect } from 'node:net';
import { isId } from '@parley/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { House } from './support/house.ts';
import { errorIn, raw } from './support/raw.ts';
import { supportAgent } from './support/support-agent.ts';

const START = '/api/v1/sessions/support.voice/start';
let house: House;
beforeAll(async () => {
  house = await House.open({ limits: { body_bytes_max: 64 * 1024 } });
  await house.serve(supportAgent().agent);
});
afterAll(() => house[Symbol.asyncDispose]());

test.each([
  ['half an object', '{"voice":', 'the body is not JSON'],
  ['a list', '[]', 'the body must be a JSON object'],
  ['a number', '7', 'the body must be a JSON object'],
  ['null', 'null', 'the body must be a JSON object'],
  ['an unknown field', '{"voices":"marin"}', 'voices'],
  ['a prototype', '{"__proto__":{"voice":"marin"}}', '__proto__'],
  ['a wrong type', '{"voice":7}', 'voice'],
  ['an empty voice', '{"voice":""}', 'voice'],
  ['metadata that is a list', '{"metadata":[]}', 'metadata'],
])('%s is refused, and the message says what was expected', async (_what, body, words) => {
  const error = await house.api.refused('POST', START, body);
  expect(error).toMatchObject({ status: 400, code: 'invalid_argument', retryable: false });
  expect(error.message).toContain(words);
});

test('an enum value that is not known is refused, naming the accepted ones', async () => {
  const { session_id } = await house.start('support.voice');
  const update = (turn_detection: unknown) =>
    house.api.refused('POST', `/api/v1/sessions/${session_id}/update`, { turn_detection });
  expect((await update({ type: 'psychic_vad' })).message).toMatch(/semantic_vad.*server_vad|server_vad.*semantic_vad/);
  expect((await update({ type: 'semantic_vad', eagerness: 'very' })).message).toMatch(/auto.*high|high.*auto/);
  expect(await house.api.refused('GET', '/api/v1/sessions?status=alive')).toMatchObject({
    code: 'invalid_argument',
    message: "status must be one of closed, closing, live, starting; got 'alive'",
  });
  expect((await house.api.refused('GET', '/api/v1/executions?status=done')).message).toContain('succeeded');
  expect((await house.api.refused('POST', '/api/v1/access/keys', { name: 'x', scopes: ['root'] })).message).toContain(
    'observe',
  );
});

test('a body that is not declared as JSON is refused', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
    expect(await house.api.refused('POST', START, '{}', { 'content-type': type })).toMatchObject({
      status: 400,
      message: `the body must be application/json, got ${type}`,
    });
  }
  const { status } = await house.api.call('POST', START, '{}', { 'content-type': 'application/json; charset=utf-8' });
  expect(status).toBe(201);
});

test('a body past the limit is refused before it is read, with the limit', async () => {
  const body = JSON.stringify({ instructions: 'x'.repeat(70_000) });
  expect(await house.api.refused('POST', START, body)).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: false,
    details: { limit: 65_536 },
  });
});

test('a route that takes no body says so', async () => {
  const answer = await raw(house.server.url, '/api/v1/access/keys/key_1', {
    method: 'DELETE',
    headers: { 'content-type': 'application/json', 'content-length': '7' },
    body: '{"x":1}',
  });
  expect(answer.status).toBe(400);
  expect(errorIn(answer)).toMatchObject({ code: 'invalid_argument', message: 'this route takes no body' });
});

test('unknown ids, routes and methods are not found', async () => {
  for (const path of [
    '/api/v1/sessions/sess_none',
    '/api/v1/sessions/sess_none/workflow',
    '/api/v1/executions/exec_none',
    '/api/v1/executions/exec_none/events',
    '/api/v1/workflows/wf_none/dag',
    '/api/v1/agents/nobody',
    '/api/v1/nothing',
  ]) {
    expect(await house.api.refused('GET', path)).toMatchObject({ status: 404, code: 'not_found' });
  }
  for (const verb of ['close', 'say', 'inject', 'update', 'tools/find_order']) {
    const body = verb === 'say' || verb === 'inject' ? { text: 'x' } : {};
    expect(await house.api.refused('POST', `/api/v1/sessions/sess_none/${verb}`, body)).toMatchObject({ status: 404 });
  }
  const wrong = await raw(house.server.url, START, { method: 'PUT' });
  expect(wrong).toMatchObject({ status: 404, headers: { allow: 'POST' } });
  expect(errorIn(wrong).message).toBe(`no route PUT ${START}; it takes POST`);
});

test('a path that cannot be decoded is a mistake of the caller', async () => {
  for (const path of ['/api/v1/sessions/%E0%A4%A', `/api/v1/sessions/${'x'.repeat(300)}`]) {
    const answer = await raw(house.server.url, path);
    expect(answer.status).toBe(400);
    expect(errorIn(answer)).toMatchObject({ code: 'invalid_argument', request_id: answer.headers['x-request-id'] });
  }
});

test('bytes that are not HTTP are answered in the one shape too', async () => {
  const { hostname, port } = new URL(house.server.url);
  const socket = connect(Number(port), hostname);
  socket.end('GET nonsense\r\n\r\n');
  let text = '';
  for await (const piece of socket) text += String(piece);
  expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).toMatchObject({ error: { code: 'invalid_argument' } });
});

test('every answer has a request id of ours, and an error repeats it', async () => {
  const answer = await house.api.call('GET', '/api/v1/sessions/sess_none', undefined, { 'x-request-id': 'req_mine' });
  const id = answer.headers.get('x-request-id');
  expect(isId('request', id)).toBe(true);
  expect(answer.body).toMatchObject({ error: { request_id: id } });
});

test('headers that name ids are checked', async () => {
  const execute = (headers: Record<string, string>) =>
    house.api.refused('POST', '/api/v1/execute/support.refund', {}, headers);
  for (const name of ['x-execution-id', 'x-workflow-id', 'x-parent-execution-id', 'x-session-id']) {
    expect(await execute({ [name]: '../../etc' })).toMatchObject({ status: 400, code: 'invalid_argument' });
    expect(await execute({ [name]: 'x'.repeat(300) })).toMatchObject({ status: 400, code: 'invalid_argument' });
  }
  const unknown = `exec_${'0'.repeat(26)}`;
  expect(await execute({ 'x-parent-execution-id': unknown })).toMatchObject({ status: 404, code: 'not_found' });
});

test('a session, an execution and its workflow can be named by the caller', async () => {
  const { session_id, workflow_id, execution_id } = await house.start('support.voice');
  const own = `exec_${'1'.repeat(26)}`;
  const answer = await house.api.call(
    'POST',
    '/api/v1/execute/support.refund',
    {},
    {
      'x-session-id': session_id,
      'x-execution-id': own,
    },
  );
  expect(answer.body).toMatchObject({ execution_id: own, workflow_id, parent_execution_id: execution_id });
  expect(answer.headers.get('x-execution-id')).toBe(own);
  expect(answer.headers.get('x-workflow-id')).toBe(workflow_id);
  // The same id names one execution and no other.
  expect(
    await house.api.refused('POST', '/api/v1/execute/support.refund', {}, { 'x-execution-id': own }),
  ).toMatchObject({ status: 409, code: 'already_exists' });
  expect(
    await house.api.refused(
      'POST',
      '/api/v1/execute/support.refund',
      {},
      {
        'x-parent-execution-id': own,
        'x-workflow-id': `wf_${'1'.repeat(26)}`,
      },
    ),
  ).toMatchObject({ status: 400, code: 'invalid_argument' });
});
