// The agent side of the server on a real socket, with a clock that tests move, and an agent made of raw frames.

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type AgentFrame,
  type AgentFrameOf,
  AGENT_SUBPROTOCOL,
  type FunctionDeclaration,
  newId,
  ParleyError,
  type ServerFrame,
  type ServerFrameOf,
} from '@parley/core';
import { acceptFrameSocket } from '@parley/transport';
import { WebSocket, WebSocketServer } from 'ws';
import { Executions } from '../executions/executions.ts';
import type { ExecutionLimits } from '../executions/limits.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { Agents } from './agents.ts';
import type { ServerClock } from './clock.ts';
import type { AgentLimits } from './limits.ts';
import type { AgentLink } from './link.ts';
import type { HandlerLink, SessionChange, SessionHost } from './ports.ts';

/** A clock that stands until it is moved. */
export class ManualClock implements ServerClock {
  #now = 1_000_000;
  readonly #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + 1_700_000_000_000;
  }

  after(ms: number, run: () => void): { cancel(): void } {
    const timer = { at: this.#now + ms, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** Moves on, timer by timer. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: { at: number; run: () => void } | null = null;
      for (const timer of this.#timers) if (timer.at <= end && (!next || timer.at < next.at)) next = timer;
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}

/** Sessions that say yes to everything and remember what they were asked. */
export class RecordedSessions implements SessionHost {
  readonly calls: unknown[][] = [];
  /** Why no handler can go on, if it cannot. */
  unresumable: ParleyError | null = null;
  readonly roots = new Map<string, { workflow_id: string; execution_id: string }>();
  #changed: (() => void) | null = null;

  #record(...call: unknown[]): void {
    this.calls.push(call);
    this.#changed?.();
  }

  /** The first recorded call of this name, when it is there. */
  async called(name: string): Promise<unknown[]> {
    for (;;) {
      const found = this.calls.find((call) => call[0] === name);
      if (found) return found;
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  async say(session_id: string, text: string): Promise<{ interrupted: boolean; spoken_text: string }> {
    this.#record('say', session_id, text);
    return { interrupted: false, spoken_text: text };
  }
  async inject(session_id: string, text: string, respond: boolean): Promise<void> {
    this.#record('inject', session_id, text, respond);
  }
  async update(session_id: string, change: SessionChange): Promise<void> {
    this.#record('update', session_id, change);
  }
  async close(session_id: string, reason: string): Promise<void> {
    this.#record('close', session_id, reason);
  }
  handled(session_id: string, error: unknown): void {
    this.#record('handled', session_id, error);
  }
  root(session_id: string): { workflow_id: string; execution_id: string } {
    const root = this.roots.get(session_id);
    if (!root) throw new ParleyError('not_found', `no session ${session_id}`);
    return root;
  }
  handlerLost(link_id: string, session_ids: readonly string[], reason: string): void {
    this.#record('handlerLost', link_id, session_ids, reason);
  }
  async handlerResumed(session_id: string, after_seq: number, link: HandlerLink): Promise<void> {
    this.#record('handlerResumed', session_id, after_seq, link);
    if (this.unresumable) throw this.unresumable;
  }
}

export interface TestServerOptions {
  agents?: Partial<AgentLimits>;
  executions?: Partial<ExecutionLimits>;
  store?: Store;
  clock?: ServerClock;
}

/** Agents and executions as the server has them, behind a WebSocket on a free port. */
export class TestServer {
  readonly clock = new ManualClock();
  readonly store: Store;
  readonly sessions = new RecordedSessions();
  readonly agents: Agents;
  readonly executions: Executions;
  /** Links in the order in which they were opened. */
  readonly links: AgentLink[] = [];
  /** Their ends, when the server has dealt with them. */
  readonly ends: Promise<unknown>[] = [];
  readonly #http: Server;
  readonly #ws: WebSocketServer;
  readonly #peers = new Set<TestAgent>();
  /** A store that was not handed in. */
  #own: Store | null = null;

  private constructor(options: TestServerOptions & { store: Store }) {
    const clock = options.clock ?? this.clock;
    this.store = options.store;
    this.agents = new Agents({ clock, limits: { ...options.agents } });
    this.executions = new Executions({
      store: this.store,
      workforce: this.agents,
      clock,
      limits: { ...options.executions },
    });
    this.agents.attach(this.executions, this.sessions);
    this.#http = createServer();
    this.#ws = new WebSocketServer({ server: this.#http, handleProtocols: () => AGENT_SUBPROTOCOL });
    this.#ws.on('connection', (socket) => {
      this.links.push(this.agents.accept(acceptFrameSocket(socket, { pingMs: 0 })));
      this.ends.push(once(socket, 'close'));
    });
  }

  static async open(options: TestServerOptions = {}): Promise<TestServer> {
    const store = options.store ?? (await openSqliteStore({ directory: ':memory:' }));
    const server = new TestServer({ ...options, store });
    if (!options.store) server.#own = store;
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** A raw connection that has not registered. */
  async dial(): Promise<TestAgent> {
    const agent = TestAgent.dial(this.url);
    this.#peers.add(agent);
    await agent.opened;
    return agent;
  }

  /** A registered agent named `support` with a skill `look`, unless told otherwise. */
  async agent(register: Partial<AgentFrameOf<'agent.register'>> = {}): Promise<TestAgent> {
    const agent = await this.dial();
    agent.register(register);
    await agent.next('agent.registered');
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) peer.cut();
    for (const socket of this.#ws.clients) socket.terminate();
    this.executions.close();
    this.agents.close();
    this.#ws.close();
    this.#http.close();
    await once(this.#http, 'close');
    await this.#own?.close();
  }
}

export function skill(name: string, more: Partial<FunctionDeclaration> = {}): FunctionDeclaration {
  return { name, kind: 'skill', ...more };
}

/** An agent of raw frames: it does nothing by itself. */
export class TestAgent {
  readonly opened: Promise<unknown>;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #socket: WebSocket;
  readonly frames: ServerFrame[] = [];
  #arrived: (() => void) | null = null;
  #ended = false;

  static dial(url: string): TestAgent {
    return new TestAgent(new WebSocket(url, AGENT_SUBPROTOCOL, { perMessageDeflate: false }));
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.opened = once(socket, 'open');
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.#ended = true;
        this.#arrived?.();
        resolve({ code, reason: reason.toString() });
      });
    });
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as ServerFrame);
      this.#arrived?.();
    });
  }

  register(register: Partial<AgentFrameOf<'agent.register'>> = {}): void {
    this.send({
      type: 'agent.register',
      agent: 'support',
      instance_id: newId('agent'),
      sdk: { language: 'test', version: '1' },
      sessions: [],
      functions: [skill('look')],
      in_flight: [],
      sessions_open: [],
      ...register,
    });
  }

  send(frame: AgentFrame): void {
    this.raw(JSON.stringify(frame));
  }

  raw(text: string): void {
    this.#socket.send(text);
  }

  /** Takes the next frame of this type; frames of other types stay. Fails when the link ends first. */
  async next<T extends ServerFrame['type']>(type: T): Promise<ServerFrameOf<T>> {
    for (;;) {
      const at = this.frames.findIndex((frame) => frame.type === type);
      if (at >= 0) return this.frames.splice(at, 1)[0] as ServerFrameOf<T>;
      if (this.#ended) throw new Error(`the link ended before ${type}; left: ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }

  /** Resolves when the server has read everything that was sent so far, and its answers are here. */
  async settle(): Promise<void> {
    this.send({ type: 'agent.heartbeat', load: { executions: 0, sessions: 0 } });
    await this.next('agent.alive');
  }

  /** Takes the next dispatch and accepts it. */
  async accept(): Promise<ServerFrameOf<'execution.dispatch'>> {
    const dispatch = await this.next('execution.dispatch');
    this.send({ type: 'execution.accepted', execution_id: dispatch.execution_id });
    return dispatch;
  }

  succeed(execution_id: string, output: unknown): void {
    this.send({ type: 'execution.result', execution_id, status: 'succeeded', output });
  }

  /** A cut: no closing handshake. */
  cut(): void {
    this.#socket.terminate();
  }

  /** A closing handshake. */
  async close(): Promise<void> {
    this.#socket.close(1000);
    await this.closed;
  }

  stopReading(): void {
    this.#socket.pause();
  }
}
