import { once } from 'node:events';
import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { FakeControlPlane, refusal, sessionResource } from './control-plane.test.fake.ts';
import { decodePcm } from './pcm.ts';
import type { SocketFrame } from './frame-line.ts';
import { connectSession } from './session-socket.ts';

const SESSION = 'GET /api/v1/sessions/sess_1';

function hello(socket: WebSocket): void {
  socket.send(JSON.stringify({ type: 'session.created', session: {} }));
}

test('the token is offered as a subprotocol and stands in no address', async () => {
  await using peer = await FakeControlPlane.start();
  peer.socket = hello;
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1', token: 'tok.en_1' });
  expect(peer.upgrades[0]?.headers['sec-websocket-protocol']).toBe('realtime, parley.events.v1, parley.token.tok.en_1');
  expect(peer.upgrades[0]?.url).toBe('/api/v1/sessions/sess_1/realtime');
  socket.close();
  expect(await socket.closed).toMatchObject({ code: 1000, error: null });
});

test('a key that no header could carry is refused before anything is sent', async () => {
  await using peer = await FakeControlPlane.start();
  await expect(connectSession({ url: peer.url, sessionId: 's', key: 'two words' })).rejects.toMatchObject({
    code: 'invalid_argument',
  });
  expect(peer.upgrades).toHaveLength(0);
});

test('client events have their GA names and fields', async () => {
  await using peer = await FakeControlPlane.start();
  const frames: Record<string, unknown>[] = [];
  peer.socket = (socket) => {
    hello(socket);
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as Record<string, unknown>;
      frames.push(frame);
      if (frame['type'] === 'conversation.item.truncate') socket.close(1000, 'enough');
    });
  };
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1' });
  socket.appendAudio(Int16Array.of(1, -2, 32_767));
  socket.sendText('Hello');
  socket.commit();
  socket.respond();
  socket.cancel();
  socket.truncate('item_1', 1234.9);
  await socket.closed;
  expect([...decodePcm(frames[0]?.['audio'] as string)]).toEqual([1, -2, 32_767]);
  expect(frames.slice(1)).toEqual([
    {
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello' }] },
    },
    { type: 'input_audio_buffer.commit' },
    { type: 'response.create' },
    { type: 'response.cancel' },
    { type: 'conversation.item.truncate', item_id: 'item_1', content_index: 0, audio_end_ms: 1234 },
  ]);
  expect(() => socket.respond()).toThrow(/response.create was not sent/);
});

test('frames are read from the first one on, and the close code is the error', async () => {
  await using peer = await FakeControlPlane.start();
  peer.socket = (socket) => {
    hello(socket);
    socket.send(JSON.stringify({ type: 'parley.event', event: { seq: 1, at_ms: 1, type: 'handler.completed' } }));
    socket.close(new ParleyError('resource_exhausted', '').closeCode, 'max_duration');
  };
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1' });
  const types: string[] = [];
  const read = async (): Promise<void> => {
    for await (const frame of socket) types.push(frame.type);
  };
  await expect(read()).rejects.toMatchObject({ code: 'resource_exhausted', message: 'max_duration', retryable: true });
  expect(types).toEqual(['session.created', 'parley.event']);
});

test('a reader that is too slow is told so, and the socket is closed', async () => {
  await using peer = await FakeControlPlane.start();
  peer.socket = (socket) => {
    for (let i = 0; i < 50; i++) hello(socket);
  };
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1', queueFramesMax: 10 });
  const reader = socket[Symbol.asyncIterator]();
  await reader.next();
  await socket.closed;
  const read = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) await reader.next();
  };
  await expect(read()).rejects.toMatchObject({ code: 'resource_exhausted' });
});

test('a refusal after the upgrade is the error of connectSession', async () => {
  await using peer = await FakeControlPlane.start();
  const error = new ParleyError('not_found', 'no session sess_1');
  peer.socket = (socket) => {
    socket.send(JSON.stringify({ type: 'parley.error', ...error.toBody() }));
    socket.close(error.closeCode, error.message);
  };
  await expect(connectSession({ url: peer.url, sessionId: 'sess_1' })).rejects.toMatchObject({
    code: 'not_found',
    message: 'no session sess_1',
  });
});

test('a refusal before the upgrade is explained by asking for the session', async () => {
  await using peer = await FakeControlPlane.start();
  peer.socket = { status: 401 };
  peer.route(SESSION, null, () => refusal(new ParleyError('unauthenticated', 'this key is not known')));
  await expect(connectSession({ url: peer.url, sessionId: 'sess_1', key: 'wrong' })).rejects.toMatchObject({
    code: 'unauthenticated',
    message: 'this key is not known',
  });
  peer.route(SESSION, null, () => ({ body: sessionResource('sess_1', { status: 'closed' }) }));
  await expect(connectSession({ url: peer.url, sessionId: 'sess_1' })).rejects.toMatchObject({
    code: 'failed_precondition',
  });
});

test('nobody at the address is unavailable', async () => {
  const peer = await FakeControlPlane.start();
  const { url } = peer;
  await peer[Symbol.asyncDispose]();
  await expect(connectSession({ url, sessionId: 'sess_1' })).rejects.toMatchObject({ code: 'unavailable' });
});

test('a connection that was cut is unavailable, and retryable', async () => {
  await using peer = await FakeControlPlane.start();
  peer.socket = (socket) => {
    hello(socket);
    socket.on('message', () => socket.terminate());
  };
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1' });
  socket.respond();
  expect((await socket.closed).error).toMatchObject({ code: 'unavailable', retryable: true });
});

test('a frame that is no JSON object with a type closes the socket', async () => {
  await using peer = await FakeControlPlane.start();
  const closed: Promise<unknown[]>[] = [];
  peer.socket = (socket) => {
    closed.push(once(socket, 'close'));
    hello(socket);
    socket.send('[]');
  };
  const socket = await connectSession({ url: peer.url, sessionId: 'sess_1' });
  const frames: SocketFrame[] = [];
  socket.on('event', (frame) => frames.push(frame));
  expect((await closed[0])?.[0]).toBe(4503);
  expect(frames).toHaveLength(1);
});
