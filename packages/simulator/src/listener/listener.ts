import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Chat } from '../chat/chat.ts';
import type { Clock } from '../clock.ts';
import type { Calls } from '../call/calls.ts';
import type { FaultPlan } from '../faults.ts';
import type { AuthTokens } from '../gemini/auth-tokens.ts';
import { newEventId } from '../session/connection.ts';
import { WireError } from '../session/wire-error.ts';
import type { ClientSecrets } from './client-secrets.ts';
import { type Access, judge, type Verdict } from './handshake.ts';
import { errorBody, faultBody, noiseHeaders, rest } from './rest.ts';
import type { Certificate } from './tls.ts';

// Sockets and requests at the door: plain or TLS, the same behaviour behind both.

/** Beyond this a frame is not even read: the socket closes with 1009. */
const PAYLOAD_BYTES_MAX = 24 * 1024 * 1024;

export interface Door {
  access: Access;
  chat: Chat;
  secrets: ClientSecrets;
  tokens: AuthTokens;
  faults: FaultPlan;
  clock: Clock;
  /** Whether one more session fits. */
  hasRoom(): boolean;
  calls: Calls;
  /** When a session that begins now expires, in Unix seconds. */
  expiresAt(): number;
  /** Takes over a socket whose handshake went well. */
  open(socket: WebSocket, verdict: Verdict & { kind: 'open' }): void;
}

export interface Listener {
  port: number;
  close(): Promise<void>;
}

/** Listens on one port. Rejects where the port cannot be had. */
export async function listen(
  host: string,
  port: number,
  certificate: Certificate | null,
  door: Door,
): Promise<Listener> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    if (!door.chat.answer(request, response)) rest(request, response, door);
  };
  const server: Server = certificate ? createTlsServer(certificate, answer) : createServer(answer);
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: PAYLOAD_BYTES_MAX,
    handleProtocols: (offered) => (offered.has('realtime') ? 'realtime' : false),
  });
  sockets.on('headers', (headers) => {
    for (const [name, value] of Object.entries(noiseHeaders())) headers.push(`${name}: ${value}`);
  });
  // The server lets go of a connection that is upgraded, so they are remembered here until they close.
  const upgraded = new Set<Duplex>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    // A client that hangs up during the handshake is no event for anybody.
    socket.on('error', () => undefined);
    upgrade(request, socket, head, sockets, door);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of upgraded) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, sockets: WebSocketServer, door: Door): void {
  const verdict = judge(request, door.access);
  const model = verdict.kind === 'open' ? verdict.model : undefined;
  const call = verdict.kind === 'attach' ? door.calls.find(verdict.callId) : null;
  const fault = door.faults.take(call ? 'sideband' : 'upgrade', { model, session: call?.session });
  if (fault?.kind === 'drop') return void socket.destroy();
  if (fault?.kind === 'stall') return;
  if (fault?.kind === 'status') return refuse(socket, fault.status, faultBody(fault), fault.headers);
  const accept = () => {
    if (socket.destroyed) return;
    if (verdict.kind === 'http') return refuse(socket, verdict.status, errorBody(verdict.error));
    if (verdict.kind === 'open' ? !door.hasRoom() : call && !call.hasRoom) {
      return refuse(socket, 503, errorBody({ message: 'The simulator is at its limit.', type: 'server_error' }));
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      // Errors of a socket (a broken frame, a reset) end in its close event, which is where they are handled.
      webSocket.on('error', () => undefined);
      if (call) call.attach(webSocket);
      else if (verdict.kind === 'attach') webSocket.terminate();
      else if (verdict.kind === 'open') door.open(webSocket, verdict);
      else turnAway(webSocket, verdict);
    });
  };
  if (fault?.kind === 'delay') door.clock.after(fault.ms, accept);
  else accept();
}

/** The upgrade succeeds, then the reason comes as an event, then the close. */
function turnAway(socket: WebSocket, { code, error, reason }: Verdict & { kind: 'close' }): void {
  if (error) {
    const event = new WireError(error.code, error.message).toEvent(null);
    socket.send(JSON.stringify({ event_id: newEventId(), ...event }));
  }
  socket.close(code, reason);
}

function refuse(socket: Duplex, status: number, body: string, more: Record<string, string> = {}): void {
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...noiseHeaders(),
    ...more,
  };
  const lines = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${lines}\r\n${body}`);
}
