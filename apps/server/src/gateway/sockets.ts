// The socket edge: one upgrade listener, two kinds of socket. What a browser can be told only by a close code is told
// by a close code; what is no socket of ours is refused before the upgrade.

import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { AGENT_SUBPROTOCOL, CLIENT_SUBPROTOCOL, LIMITS, ParleyError, PARLEY_EVENTS_SUBPROTOCOL } from '@parley/core';
import { acceptFrameSocket } from '@parley/transport';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Access, type Principal, require as requireScope } from '../access/access.ts';
import type { Agents } from '../agents/agents.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Door } from './door/door.ts';
import { admitSocket, DOOR_PATH } from './door/socket.ts';
import { refuse } from './http.ts';

export interface SocketDeps {
  access: Access;
  agents: Agents;
  sessions: Sessions;
  door: Door;
  logger: Logger;
  sockets_max: number;
  /** One frame of an agent; its registration is the largest. */
  agent_frame_bytes_max: number;
  now: () => number;
}

const SESSION_PATH = /^\/api\/v1\/(?:sessions|session-instances)\/([A-Za-z0-9_]{1,128})\/realtime$/;
const AGENT_PATH = '/api/v1/agent-link';

export class Sockets {
  readonly #deps: SocketDeps;
  readonly #clients: WebSocketServer;
  readonly #agents: WebSocketServer;
  #closing = false;

  constructor(server: Server, deps: SocketDeps) {
    this.#deps = deps;
    this.#clients = upgrades(LIMITS.frame_bytes_max);
    this.#agents = upgrades(deps.agent_frame_bytes_max);
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  get size(): number {
    return this.#clients.clients.size + this.#agents.clients.size;
  }

  /** No new sockets; those that are left are closed, and cut when they do not answer within `answer_ms`. */
  async close(answer_ms: number): Promise<void> {
    this.#closing = true;
    const leaving = new ParleyError('unavailable', 'this server is going');
    const open = [...this.#clients.clients, ...this.#agents.clients];
    const closed = open.map((socket) => {
      socket.close(leaving.closeCode, leaving.message);
      return new Promise((resolve) => socket.once('close', resolve));
    });
    const cut = setTimeout(() => {
      for (const socket of open) socket.terminate();
    }, answer_ms);
    await Promise.all(closed);
    clearTimeout(cut);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', (error) => this.#deps.logger.debug({ err: error }, 'a socket failed before its upgrade'));
    const path = (request.url ?? '').split('?')[0] as string;
    const door = DOOR_PATH.test(path);
    try {
      const session_id = SESSION_PATH.exec(path)?.[1];
      if (session_id === undefined && path !== AGENT_PATH && !door)
        throw new ParleyError('not_found', `no socket at ${path.slice(0, 128)}`);
      if (this.#closing) throw new ParleyError('unavailable', 'this server is going');
      if (this.size >= this.#deps.sockets_max) {
        throw new ParleyError(
          'resource_exhausted',
          `this server is at its limit of ${this.#deps.sockets_max} sockets`,
          { retry_after_ms: 1000 },
        );
      }
      if (door) {
        this.#clients.handleUpgrade(request, socket, head, admitSocket(request, this.#deps));
        return;
      }
      const offered = offeredBy(request);
      if (session_id === undefined && !offered.has(AGENT_SUBPROTOCOL)) {
        throw new ParleyError('failed_precondition', `an agent link needs the subprotocol ${AGENT_SUBPROTOCOL}`);
      }
      const who = this.#identify(request, session_id !== undefined);
      const kind = session_id === undefined ? this.#agents : this.#clients;
      kind.handleUpgrade(request, socket, head, (ws) => {
        if (who instanceof ParleyError) closeWith(ws, who);
        else if (session_id === undefined) this.#agent(ws, who);
        else void this.#client(ws, session_id, who, offered.has(PARLEY_EVENTS_SUBPROTOCOL));
      });
    } catch (caught) {
      refuse(socket, ParleyError.from(caught, 'internal'), { door });
    }
  }

  /** A page hears of a refused upgrade only that there was no connection, and would try again with the same token. */
  #identify(request: IncomingMessage, byCloseCode: boolean): Principal | ParleyError {
    try {
      return this.#deps.access.principal(request.headers, this.#deps.now());
    } catch (caught) {
      const error = ParleyError.from(caught, 'internal');
      if (byCloseCode && error.code === 'unauthenticated') return error;
      throw error;
    }
  }

  #agent(ws: WebSocket, principal: Principal): void {
    try {
      requireScope(principal, 'agent');
    } catch (caught) {
      closeWith(ws, caught);
      return;
    }
    this.#deps.agents.accept(acceptFrameSocket(ws, { maxFrameBytes: this.#deps.agent_frame_bytes_max }), {
      key_id: principal.id,
    });
  }

  async #client(ws: WebSocket, session_id: string, principal: Principal, wantsEvents: boolean): Promise<void> {
    // Frames that come before the session was found wait in the kernel.
    ws.pause();
    try {
      requireScope(principal, 'start', session_id);
      const session = this.#deps.sessions.find(session_id) ?? (await this.#deps.sessions.live(session_id));
      const { transport } = session.resource();
      if (transport === 'webrtc') {
        throw new ParleyError('failed_precondition', "this session has transport 'webrtc': offer a call instead");
      }
      ws.resume();
      session.client.attach(acceptFrameSocket(ws), { wantsEvents });
    } catch (caught) {
      ws.resume();
      closeWith(ws, caught);
    }
  }
}

function offeredBy(request: IncomingMessage): Set<string> {
  const header = request.headers['sec-websocket-protocol'] ?? '';
  return new Set(header.split(',').map((one) => one.trim()));
}

function closeWith(ws: WebSocket, caught: unknown): void {
  const error = ParleyError.from(caught, 'internal');
  ws.on('error', () => ws.terminate());
  ws.send(JSON.stringify({ type: 'parley.error', ...error.toBody() }));
  // A close reason holds 123 bytes.
  ws.close(
    error.closeCode,
    Buffer.from(error.message)
      .subarray(0, 120)
      .toString()
      .replace(/\uFFFD+$/, ''),
  );
}

function upgrades(frame_bytes_max: number): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    // Compressing base64 audio costs five times what it saves.
    perMessageDeflate: false,
    maxPayload: frame_bytes_max,
    // A token is among the offered subprotocols and must never be selected: the selected one is echoed.
    handleProtocols: (offered) =>
      offered.has(AGENT_SUBPROTOCOL) ? AGENT_SUBPROTOCOL : offered.has(CLIENT_SUBPROTOCOL) ? CLIENT_SUBPROTOCOL : false,
  });
}
