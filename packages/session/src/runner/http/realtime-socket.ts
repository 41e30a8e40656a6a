// The door for a call's client: a WebSocket that speaks OpenAI Realtime, on the server that the runner listens with.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { PARLEY_EVENTS_SUBPROTOCOL, ParleyError, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/core';
import { acceptFrameSocket, type FrameSocket, frameServerOptions } from '@parley/transport';
import { WebSocketServer } from 'ws';
import type { AgentLauncher } from '../../launcher/launcher.ts';
import { withEvents } from '../../local/event-sockets.ts';
import type { ClientTokens } from './client-tokens.ts';

const PATH = /^(?:\/v1)?\/sessions\/([^/]+)\/realtime$/;

/** How long clients of ended calls have for the closing handshake, once the server closes. */
const CLOSE_MS = 1_000;

/**
 * Takes upgrades of a server that belong to a session's call; the others are left to whoever else listens. Returns what
 * ends that, and resolves when no client is connected any more: a server does not close while one is.
 */
export function acceptCalls(
  server: Server,
  prefix: string,
  launcher: AgentLauncher,
  tokens: ClientTokens,
  allowed: (request: IncomingMessage) => boolean,
): () => Promise<void> {
  const clients = new Set<FrameSocket>();
  const sockets = new WebSocketServer({
    ...frameServerOptions(),
    handleProtocols: (offered) =>
      [...offered].find((name) => !name.startsWith(TOKEN_SUBPROTOCOL_PREFIX)) ?? [...offered][0] ?? false,
  });
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const [, id] = (path.startsWith(prefix) ? PATH.exec(path.slice(prefix.length)) : null) ?? [];
    if (id === undefined) {
      if (server.listenerCount('upgrade') === 1) refuse(socket, 404);
      return;
    }
    const session = launcher.get(id);
    if (!allowed(request)) return refuse(socket, 403);
    if (!session) return refuse(socket, 404);
    if (!tokens.fits(session, tokenOf(request))) return refuse(socket, 401);
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const client = acceptFrameSocket(ws);
      clients.add(client);
      client.onClose(() => clients.delete(client));
      try {
        const wantsEvents = protocolsOf(request).includes(PARLEY_EVENTS_SUBPROTOCOL);
        launcher.attach(id, wantsEvents ? withEvents(client) : client);
      } catch (thrown) {
        const error = ParleyError.from(thrown);
        client.close(error.closeCode, error.message.slice(0, 120));
      }
    });
  };
  server.on('upgrade', upgrade);
  return async () => {
    server.off('upgrade', upgrade);
    const gone = [...clients].map(async (client) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      client.onClose(() => resolve());
      client.close(1001, 'the server closes');
      const late = setTimeout(() => client.terminate(), CLOSE_MS);
      await promise;
      clearTimeout(late);
    });
    await Promise.all(gone);
  };
}

function protocolsOf(request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
}

/** From the header, or from the subprotocol where a browser cannot set headers. Never from the URL: URLs are logged. */
function tokenOf(request: IncomingMessage): string {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const offered = protocolsOf(request).find((name) => name.startsWith(TOKEN_SUBPROTOCOL_PREFIX));
  return bearer ?? offered?.slice(TOKEN_SUBPROTOCOL_PREFIX.length) ?? '';
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
