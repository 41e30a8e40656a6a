// An honest control plane for tests: a real WebSocket server that checks every frame it gets against the contract, and
// sends only frames that the contract has.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  AGENT_SUBPROTOCOL,
  type AgentFrame,
  type AgentFrameOf,
  checked,
  newId,
  parseDeclaration,
  type ServerFrame,
} from '@parley/core';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Agent, AgentHandle } from './agent.ts';
import type { AgentOptions } from './settings.ts';

type Waiting = { test: (frame: AgentFrame) => boolean; resolve: (frame: AgentFrame) => void };

/** One link, from the side of the control plane. */
export class PeerLink {
  readonly id = newId('link');
  readonly frames: AgentFrame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #ws: WebSocket;
  readonly #waiting = new Set<Waiting>();
  #seen = 0;

  constructor(ws: WebSocket) {
    this.#ws = ws;
    this.closed = new Promise((resolve) =>
      ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    ws.on('message', (data) => {
      const frame = checked('AgentFrame', JSON.parse((data as Buffer).toString()));
      this.frames.push(frame);
      for (const waiting of this.#waiting) {
        if (!waiting.test(frame)) continue;
        this.#waiting.delete(waiting);
        waiting.resolve(frame);
      }
    });
  }

  send(frame: ServerFrame): void {
    this.#ws.send(JSON.stringify(checked('ServerFrame', frame)));
  }

  raw(text: string): void {
    this.#ws.send(text);
  }

  /** The first frame of a type, seen already or to come, that was not taken before. */
  async next<T extends AgentFrame['type']>(
    type: T,
    test: (frame: AgentFrameOf<T>) => boolean = () => true,
  ): Promise<AgentFrameOf<T>> {
    const fits = (frame: AgentFrame): boolean => frame.type === type && test(frame as AgentFrameOf<T>);
    for (let at = 0; at < this.frames.length; at += 1) {
      const frame = this.frames[at] as AgentFrame;
      if (!fits(frame)) continue;
      this.frames.splice(at, 1);
      return frame as AgentFrameOf<T>;
    }
    const frame = await new Promise<AgentFrame>((resolve) => this.#waiting.add({ test: fits, resolve }));
    this.frames.splice(this.frames.indexOf(frame), 1);
    return frame as AgentFrameOf<T>;
  }

  async register(
    terms: Partial<Extract<ServerFrame, { type: 'agent.registered' }>> = {},
  ): Promise<AgentFrameOf<'agent.register'>> {
    const frame = await this.next('agent.register');
    this.send({
      type: 'agent.registered',
      link_id: this.id,
      agent_id: 'agent_1',
      heartbeat_ms: 10_000,
      lease_ms: 30_000,
      frame_bytes_max: 16 * 1024 * 1024,
      wanted: frame.in_flight,
      ...terms,
    });
    return frame;
  }

  /** Dispatches an execution. Returns its id. */
  dispatch(name: string, input: unknown, more: Record<string, unknown> = {}): string {
    const execution_id = newId('execution');
    this.send({
      type: 'execution.dispatch',
      execution_id,
      workflow_id: newId('workflow'),
      function: name,
      input,
      timeout_ms: 90_000,
      ...more,
    });
    return execution_id;
  }

  /** Waits for the result of an execution, and says that it is on disk. */
  async result(execution_id: string): Promise<AgentFrameOf<'execution.result'>> {
    const frame = await this.next('execution.result', (one) => one.execution_id === execution_id);
    this.send({ type: 'execution.settled', execution_id });
    return frame;
  }

  /** Opens a session. Returns its id and a function that sends entries of its log. */
  openSession(name: string): { session_id: string; log: (event: Record<string, unknown>) => void } {
    const session_id = newId('session');
    this.send({
      type: 'session.open',
      session_id,
      session: name,
      workflow_id: newId('workflow'),
      execution_id: newId('execution'),
      declaration: parseDeclaration({ name, provider: 'simulator', transport: 'websocket', responder: 'handler' }),
      tools: [],
      metadata: { caller: 'ada' },
    });
    const log = (event: Record<string, unknown>): void => {
      this.#seen += 1;
      this.send({ type: 'session.event', session_id, event: { seq: this.#seen, at_ms: this.#seen, ...event } });
    };
    return { session_id, log };
  }

  close(code: number, reason = ''): void {
    this.#ws.close(code, reason);
  }

  cut(): void {
    this.#ws.terminate();
  }
}

/** Accepts links on a port of its own. */
export class ControlPlane implements AsyncDisposable {
  readonly headers: (string | undefined)[] = [];
  readonly #http: Server;
  readonly #wss: WebSocketServer;
  readonly #links: PeerLink[] = [];
  #waiting: ((link: PeerLink) => void)[] = [];
  /** When set, upgrades are answered with this status. */
  refuse: number | null = null;

  private constructor(http: Server) {
    this.#http = http;
    this.#wss = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => offered.has(AGENT_SUBPROTOCOL) && AGENT_SUBPROTOCOL,
    });
    http.on('upgrade', (request, socket, head) => {
      this.headers.push(request.headers.authorization);
      if (this.refuse !== null) {
        socket.end(`HTTP/1.1 ${this.refuse} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#wss.handleUpgrade(request, socket, head, (ws) => {
        const link = new PeerLink(ws);
        const waiting = this.#waiting.shift();
        if (waiting) waiting(link);
        else this.#links.push(link);
      });
    });
  }

  static async listen(port = 0): Promise<ControlPlane> {
    const http = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
    return new ControlPlane(http);
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The next link that an agent opens. */
  link(): Promise<PeerLink> {
    const link = this.#links.shift();
    return link ? Promise.resolve(link) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ws of this.#wss.clients) ws.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

/** A log that keeps what it was told. */
export function memoryLog(): { entries: string[]; log: import('./log.ts').Log } {
  const entries: string[] = [];
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      void entries.push(`${level} ${message} ${JSON.stringify(fields)}`);
  return { entries, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** Starts an agent against a control plane of its own; both are gone at the end of the scope. */
export async function serving(
  agent: Agent,
  options: AgentOptions = {},
): Promise<
  {
    plane: ControlPlane;
    link: PeerLink;
    handle: AgentHandle;
    register: AgentFrameOf<'agent.register'>;
  } & AsyncDisposable
> {
  const plane = await ControlPlane.listen();
  const handle = agent.start({
    log: memoryLog().log,
    backoff: { minMs: 1, maxMs: 2 },
    stopMs: 50,
    ...options,
    url: plane.url,
  });
  const link = await plane.link();
  const register = await link.register();
  await handle.ready;
  return {
    plane,
    link,
    handle,
    register,
    [Symbol.asyncDispose]: async () => {
      void handle.stop().catch(() => undefined);
      await handle.stop().catch(() => undefined);
      await plane[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when a condition holds; it is looked at after each turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
