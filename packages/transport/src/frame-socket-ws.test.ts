import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { ParleyError } from '@parley/core';
import { afterEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { dialFrameSocket } from './frame-socket-dial.ts';
import { acceptFrameSocket, frameServerOptions } from './frame-socket-ws.ts';
import { closeOf, collect, until } from './test-support/frame-socket-suite.ts';
import { listening, wsPair } from './test-support/ws-pair.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A TCP server that answers every handshake with these bytes, or with silence. */
async function answering(bytes: string | null): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => sockets.delete(socket));
    socket.once('data', () => {
      if (bytes !== null) socket.end(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return `ws://127.0.0.1:${address.port}/v1/realtime`;
}

async function failure(promise: Promise<unknown>): Promise<ParleyError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ParleyError);
  return error as ParleyError;
}

const answer = (status: string, body: string, headers = ''): string =>
  `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;

test.each([
  ['401 Unauthorized', 'unauthenticated', false],
  ['403 Forbidden', 'permission_denied', false],
  ['404 Not Found', 'not_found', false],
  ['429 Too Many Requests', 'resource_exhausted', true],
  ['500 Internal Server Error', 'unavailable', true],
  ['503 Service Unavailable', 'unavailable', true],
])('a handshake that is answered with %s is %s', async (status, code, retryable) => {
  const url = await answering(answer(status, '{"error":{"message":"no"}}', 'Retry-After: 2\r\n'));
  const error = await failure(dialFrameSocket(url));
  expect(error).toMatchObject({ code, retryable, retryAfterMs: 2000 });
  expect(error.details).toMatchObject({ status: Number(status.slice(0, 3)), body: '{"error":{"message":"no"}}' });
});

test('an answer that quotes the key is told without it, and no longer than needed', async () => {
  const key = 'sk-test-1234567890';
  const url = await answering(
    answer('401 Unauthorized', `Incorrect API key: ${key}, sk-te******7890. ${'x'.repeat(5000)}`),
  );
  const error = await failure(dialFrameSocket(url, { headers: { Authorization: `Bearer ${key}` } }));
  const told = JSON.stringify(error.toBody());
  expect(told).not.toContain('1234567890');
  expect(told).not.toContain('7890');
  expect(told.length).toBeLessThan(1000);
});

test('a server that never answers is deadline_exceeded', async () => {
  const url = await answering(null);
  expect(await failure(dialFrameSocket(url, { handshakeTimeoutMs: 50 }))).toMatchObject({
    code: 'deadline_exceeded',
    retryable: true,
  });
});

test('a port nobody listens on is unavailable', async () => {
  const http = createServer();
  const url = await listening(http);
  await new Promise((resolve) => http.close(resolve));
  expect(await failure(dialFrameSocket(url))).toMatchObject({
    code: 'unavailable',
    retryable: true,
    details: { system_code: 'ECONNREFUSED' },
  });
});

test('dialling ends when its signal says so', async () => {
  const url = await answering(null);
  const stop = new AbortController();
  const dialling = failure(dialFrameSocket(url, { signal: stop.signal }));
  stop.abort();
  expect(await dialling).toMatchObject({ code: 'cancelled' });
  expect(await failure(dialFrameSocket(url, { signal: AbortSignal.abort() }))).toMatchObject({ code: 'cancelled' });
});

test('a URL of another kind is refused without its query', async () => {
  const error = await failure(dialFrameSocket('https://host/v1?key=secret'));
  expect(error).toMatchObject({ code: 'invalid_argument' });
  expect(error.message).toBe('url must start with ws:// or wss://, got https:');
});

test('a peer that answers no ping is cut', async () => {
  const http = createServer();
  const upgrades = new WebSocketServer(frameServerOptions());
  const accepted = Promise.withResolvers<ReturnType<typeof acceptFrameSocket>>();
  http.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (ws) => accepted.resolve(acceptFrameSocket(ws, { pingMs: 20 })));
  });
  const url = new URL(await listening(http));
  cleanups.push(() => new Promise((resolve) => http.close(resolve)));
  // A handshake by hand, and then silence.
  const raw = connect(Number(url.port), '127.0.0.1');
  cleanups.push(() => raw.destroy());
  raw.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  const server = await accepted.promise;
  collect(server);
  expect(await closeOf(server)).toMatchObject({ code: 1006 });
});

test('a peer that answers pings is kept', async () => {
  const http = createServer();
  const upgrades = new WebSocketServer(frameServerOptions());
  const accepted = Promise.withResolvers<ReturnType<typeof acceptFrameSocket>>();
  http.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (ws) => accepted.resolve(acceptFrameSocket(ws, { pingMs: 20 })));
  });
  const client = new WebSocket(await listening(http));
  cleanups.push(() => {
    client.terminate();
    return new Promise((resolve) => http.close(resolve));
  });
  const server = await accepted.promise;
  const got = collect(server);
  for (let pings = 0; pings < 3; pings++) await once(client, 'ping');
  client.send('still here');
  await until(got, () => got.frames.length === 1);
  expect(server.open).toBe(true);
});

test('a binary frame ends the connection with 1003', async () => {
  const http = createServer();
  const upgrades = new WebSocketServer(frameServerOptions());
  http.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (ws) => ws.send(Buffer.from('{}'), { binary: true }));
  });
  const client = await dialFrameSocket(await listening(http));
  cleanups.push(() => {
    client.terminate();
    return new Promise((resolve) => http.close(resolve));
  });
  collect(client);
  expect(await closeOf(client)).toMatchObject({ code: 1003 });
});

test('a peer that reads too slowly is cut before memory runs out', async () => {
  const { client, server, dispose } = await wsPair({ maxBufferedBytes: 1024 * 1024 });
  cleanups.push(dispose);
  collect(client);
  client.pause();
  const ended = closeOf(server);
  for (let n = 0; n < 40 && server.open; n++) server.send(Buffer.alloc(1024 * 1024, 'x'));
  expect(await ended).toMatchObject({ code: 4008 });
});
