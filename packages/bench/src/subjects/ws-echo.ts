// The floor of a dispatch: a WebSocket that says again what it hears, and nothing else.

import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { ready } from './subject.ts';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', (socket) => socket.on('message', (data) => socket.send(data, { binary: false })));
server.on('listening', () => ready((server.address() as AddressInfo).port));
