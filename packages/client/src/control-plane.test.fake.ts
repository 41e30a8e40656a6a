// An honest small control plane on a real port: it checks what it is asked and what it answers against the contract.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ContractName, checked, ParleyError, type SessionResource } from '@parley/core';
import { type WebSocket, WebSocketServer } from 'ws';

export interface Asked {
  method: string;
  /** Path with its query, as it stood in the request line. */
  url: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: unknown;
}

export type Answer =
  | { status?: number; body?: unknown; is?: ContractName; text?: string; headers?: Record<string, string> }
  | ((response: ServerResponse, request: IncomingMessage) => void);

export interface Refusal {
  status: number;
}

export class FakeControlPlane {
  readonly asked: Asked[] = [];
  /** The upgrade requests of realtime sockets. */
  readonly upgrades: IncomingMessage[] = [];
  url = '';
  /** What a realtime socket meets: a conversation, or a refusal before the upgrade. */
  socket: ((socket: WebSocket) => void) | Refusal = () => {};
  readonly #routes = new Map<string, (asked: Asked) => Answer>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #wss = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => offered.has('realtime') && 'realtime',
  });

  static async start(): Promise<FakeControlPlane> {
    const peer = new FakeControlPlane();
    peer.#server.on('upgrade', (request, socket, head) => {
      peer.upgrades.push(request);
      if (typeof peer.socket !== 'function') {
        socket.end(`HTTP/1.1 ${peer.socket.status} Refused\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      const meet = peer.socket;
      peer.#wss.handleUpgrade(request, socket, head, (ws) => meet(ws));
    });
    await new Promise<void>((resolve) => peer.#server.listen(0, '127.0.0.1', resolve));
    peer.url = `http://127.0.0.1:${(peer.#server.address() as AddressInfo).port}`;
    return peer;
  }

  /** `GET /api/v1/sessions/x`: the exact path, without its query. */
  route(methodAndPath: string, request: ContractName | null, answer: (asked: Asked) => Answer): void {
    this.#routes.set(methodAndPath, (asked) => {
      if (request !== null) checked(request, asked.body);
      return answer(asked);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#wss.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    const at = new URL(request.url ?? '/', this.url);
    const method = request.method ?? '';
    const asked: Asked = {
      method,
      url: request.url ?? '',
      path: at.pathname,
      query: at.searchParams,
      headers: request.headers,
      body: bodyOf(text, request.headers['content-type'] ?? ''),
    };
    this.asked.push(asked);
    try {
      const route = this.#routes.get(`${method} ${at.pathname}`);
      if (!route) throw new ParleyError('not_found', `nothing at ${method} ${at.pathname}`);
      const answer = route(asked);
      if (typeof answer === 'function') return answer(response, request);
      const { status = 200, body, is, text: raw, headers = {} } = answer;
      if (is !== undefined) checked(is, body);
      response.writeHead(status, { 'content-type': raw === undefined ? 'application/json' : 'text/html', ...headers });
      response.end(raw ?? (body === undefined ? '' : JSON.stringify(body)));
    } catch (thrown) {
      const error = ParleyError.from(thrown, 'internal');
      response.writeHead(error.httpStatus, { 'content-type': 'application/json' });
      response.end(JSON.stringify(error.toBody('req_fake')));
    }
  }
}

function bodyOf(text: string, type: string): unknown {
  if (text === '') return undefined;
  return type.startsWith('application/json') ? (JSON.parse(text) as unknown) : text;
}

/** An answer that is an error of the control plane. */
export function refusal(error: ParleyError): Answer {
  return { status: error.httpStatus, body: error.toBody('req_1'), is: 'ErrorBody' };
}

/** A session as the control plane shows it. */
export function sessionResource(session_id: string, change: Partial<SessionResource> = {}): SessionResource {
  return checked('SessionResource', {
    session_id,
    workflow_id: 'wf_1',
    execution_id: 'exec_1',
    agent: 'support',
    target: 'support.voice',
    status: 'live',
    provider: 'simulator',
    transport: 'websocket',
    model: 'm',
    voice: 'v',
    responder: 'model',
    tools: [],
    tags: [],
    metadata: {},
    created_at_ms: 1,
    last_seq: 0,
    turns: 0,
    tool_calls: 0,
    user_audio_ms: 0,
    reply_audio_ms: 0,
    ...change,
  });
}
