// A real server and a real client on loopback, over plain TCP.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { FrameSocket } from '../frame-socket.ts';
import { type DialOptions, dialFrameSocket } from '../frame-socket-dial.ts';
import { acceptFrameSocket, type FrameSocketOptions, frameServerOptions } from '../frame-socket-ws.ts';

export interface WsPair {
  client: FrameSocket;
  server: FrameSocket;
  dispose: () => Promise<void>;
}

export async function wsPair(server: FrameSocketOptions = {}, client: DialOptions = {}): Promise<WsPair> {
  const http = createServer();
  const upgrades = new WebSocketServer(frameServerOptions(server));
  const accepted = Promise.withResolvers<FrameSocket>();
  http.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (ws) => accepted.resolve(acceptFrameSocket(ws, server)));
  });
  const url = await listening(http);
  const dialled = await dialFrameSocket(url, client);
  const far = await accepted.promise;
  return {
    client: dialled,
    server: far,
    dispose: async () => {
      dialled.terminate();
      far.terminate();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

/** Listens on a free port; answers the ws: URL. */
export async function listening(http: Server): Promise<string> {
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
}
