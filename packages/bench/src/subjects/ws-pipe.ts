// The peer: what anybody writes first with ws, at its best settings: no deflate, buffers passed on as they came.

import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { ready } from './subject.ts';

const upstreamPort = Number(process.env['UPSTREAM_PORT']);
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, skipUTF8Validation: true });
server.on('connection', (client) => {
  const upstream = new WebSocket(`ws://127.0.0.1:${upstreamPort}/v1/realtime`, {
    perMessageDeflate: false,
    skipUTF8Validation: true,
  });
  const early: Parameters<WebSocket['send']>[0][] = [];
  client.on('message', (data, isBinary) => {
    if (upstream.readyState === WebSocket.OPEN) upstream.send(data, { binary: isBinary });
    else early.push(data as Buffer);
  });
  upstream.on('open', () => {
    for (const data of early) upstream.send(data, { binary: false });
  });
  upstream.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
  client.on('close', () => upstream.terminate());
  upstream.on('close', () => client.terminate());
  upstream.on('error', () => client.terminate());
  client.on('error', () => upstream.terminate());
});
server.on('listening', () => ready((server.address() as AddressInfo).port));
