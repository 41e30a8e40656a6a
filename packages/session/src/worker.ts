// One process of an agent: it holds the link, and runs what comes over it.

import {
  AGENT_SUBPROTOCOL,
  type AgentFrame,
  type FunctionDeclaration,
  newId,
  ParleyError,
  problemOf,
  type ServerFrame,
  type SessionDeclaration,
} from '@parley/core';
import {
  type Clock,
  dialFrameSocket,
  Link,
  type LinkConnection,
  type LinkPeer,
  type LinkTerms,
} from '@parley/transport';
import type { AgentParts, AgentStatus } from './agent-parts.ts';
import { contextOf } from './execution-context.ts';
import { Executions } from './executions.ts';
import { type Log, withFields } from './log.ts';
import { Outbox } from './outbox.ts';
import { Requests } from './requests.ts';
import { Results } from './results.ts';
import { Sessions } from './sessions.ts';
import type { WorkerSettings } from './settings.ts';
import { Threads } from './threads.ts';
import { SDK } from './version.ts';

type Phase = 'serving' | 'draining' | 'stopping' | 'stopped';

export class AgentWorker implements LinkPeer {
  readonly #agent: AgentParts;
  readonly #settings: WorkerSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #instanceId = newId('agent');
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #results: Results;
  readonly #executions: Executions;
  readonly #sessions: Sessions;
  readonly #threads: Threads;
  readonly #registered = Promise.withResolvers<void>();
  #linkId: string | null = null;
  /** Made by the control plane: another one has another. */
  #agentId: string | null = null;
  #deadline: { cancel(): void } | null = null;
  #phase: Phase = 'serving';

  constructor(agent: AgentParts, settings: WorkerSettings) {
    this.#agent = agent;
    this.#settings = settings;
    this.#clock = settings.clock;
    this.#log = withFields(settings.log, { agent: agent.name });
    this.#link = new Link(this, {
      dial: (signal) =>
        dialFrameSocket(settings.url, {
          headers: settings.key === undefined ? {} : { authorization: `Bearer ${settings.key}` },
          protocols: [AGENT_SUBPROTOCOL],
          handshakeTimeoutMs: settings.connectMs,
          signal,
        }),
      backoff: settings.backoff,
      welcomeMs: settings.connectMs,
      clock: settings.clock,
    });
    this.#outbox = new Outbox(this.#link, { framesMax: settings.outboxFramesMax, bytesMax: settings.outboxBytesMax });
    this.#requests = new Requests(this.#outbox, settings.requestsMax);
    this.#results = new Results((over) => this.#outbox.route(over), settings.clock, settings.resultBytesMax);
    const { threadsMax, threadHeapMb, cancelMs } = settings;
    this.#threads = new Threads({ threadsMax, threadHeapMb, cancelMs }, settings.clock, this.#log);
    const changed = (): void => this.#reconcile();
    this.#executions = new Executions(
      {
        functions: agent.functions,
        threads: this.#threads,
        results: this.#results,
        contextOf: (execution) =>
          contextOf(execution, {
            agent: agent.name,
            outbox: this.#outbox,
            requests: this.#requests,
            executions: this.#executions,
            log: this.#log,
          }),
        accepted: ({ dispatch, over }) =>
          this.#say({ type: 'execution.accepted', execution_id: dispatch.execution_id }, over),
        changed,
        clock: settings.clock,
        log: this.#log,
      },
      { runningMax: settings.executionsMax, waitingMax: settings.executionsWaitingMax, cancelMs: settings.cancelMs },
    );
    this.#sessions = new Sessions(
      {
        agent: agent.name,
        definitions: agent.sessions,
        request: (frame, over, signal) => this.#requests.send(frame, { over, signal }),
        send: (frame, over) => this.#say(frame, over),
        changed,
        log: this.#log,
      },
      { openMax: settings.sessionsMax, turnsMax: settings.turnsMax },
    );
    this.#registered.promise.catch(() => undefined);
  }

  /** Resolves once registered; rejects when that can never be. */
  get ready(): Promise<void> {
    return this.#registered.promise;
  }

  get status(): AgentStatus {
    const phase = this.#phase === 'stopping' ? 'draining' : this.#phase;
    return {
      phase: phase === 'serving' && !this.#link.current ? 'connecting' : phase,
      linkId: this.#linkId,
      executions: this.#executions.size,
      unconfirmed: this.#results.size,
      sessions: this.#sessions.size,
    };
  }

  /** Resolves when the agent has stopped; rejects with the error of a refusal. */
  async run(): Promise<void> {
    let end = new ParleyError('unavailable', 'the agent has stopped', { retryable: false });
    try {
      await this.#link.run();
    } catch (error) {
      end = ParleyError.from(error);
      this.#log.error('the control plane refused this agent', { code: end.code, message: end.message });
      throw end;
    } finally {
      this.#deadline?.cancel();
      this.#phase = 'stopped';
      this.#linkId = null;
      this.#registered.reject(end);
      this.#requests.fail(end);
      this.#sessions.endAll(end);
      this.#executions.cancelAll(end);
      this.#threads.close();
    }
  }

  /** Takes no new work, finishes the old, and stops; after `drainMs` it stops anyway. */
  drain(): void {
    if (this.#phase !== 'serving') return;
    this.#phase = 'draining';
    this.#log.info('draining', { executions: this.#executions.size, sessions: this.#sessions.size });
    if (this.#link.current) this.#say({ type: 'agent.drain' }, null);
    this.#deadline = this.#clock.after(this.#settings.drainMs, () => this.stop());
    this.#reconcile();
  }

  /** Cancels what runs, says how it ended, and stops. A second call does not wait. */
  stop(): void {
    if (this.#phase === 'stopping') return this.#link.stop();
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    const reason = new ParleyError('unavailable', 'the agent is stopping', { retryable: true });
    this.#executions.cancelAll(reason);
    this.#sessions.endAll(reason);
    this.#deadline?.cancel();
    this.#deadline = this.#clock.after(this.#settings.stopMs, () => this.#link.stop());
    this.#reconcile();
  }

  // --- the link

  hello(): string {
    const { executionsMax, sessionsMax } = this.#settings;
    const frame: AgentFrame = {
      type: 'agent.register',
      agent: this.#agent.name,
      instance_id: this.#instanceId,
      sdk: SDK,
      sessions: [...this.#agent.sessions.values()].map(({ declaration }): SessionDeclaration => declaration),
      functions: [...this.#agent.functions.values()].map(({ declaration }): FunctionDeclaration => declaration),
      capacity: { executions: executionsMax, sessions: sessionsMax },
      in_flight: this.#executions.inFlight(),
      sessions_open: this.#sessions.list(),
    };
    return JSON.stringify(frame);
  }

  welcome(raw: unknown): LinkTerms | null {
    const frame = this.#read(raw);
    if (frame?.type === 'agent.error') throw ParleyError.from(frame.error);
    if (frame?.type !== 'agent.registered') return null;
    return { heartbeatMs: frame.heartbeat_ms, leaseMs: frame.lease_ms, frameBytesMax: frame.frame_bytes_max };
  }

  heartbeat(): string {
    const load = { executions: this.#executions.size, sessions: this.#agent.sessionLoad?.() ?? this.#sessions.size };
    this.#results.repeatAll(this.#settings.repeatMs);
    return JSON.stringify({ type: 'agent.heartbeat', load } satisfies AgentFrame);
  }

  up(connection: LinkConnection, raw: unknown): void {
    const frame = this.#read(raw);
    if (frame?.type !== 'agent.registered') return;
    this.#linkId = frame.link_id;
    this.#log.info('registered', { link_id: frame.link_id });
    if (this.#phase !== 'serving') this.#say({ type: 'agent.drain' }, connection);
    this.#executions.resumed(new Set(frame.wanted));
    if (this.#agentId !== null && this.#agentId !== frame.agent_id) this.#requests.forget();
    this.#agentId = frame.agent_id;
    // Its answer comes after everything that the server kept for us.
    connection.send(this.heartbeat());
    this.#outbox.flush();
    this.#registered.resolve();
    this.#reconcile();
  }

  frame(raw: unknown, connection: LinkConnection): void {
    const frame = this.#read(raw);
    switch (frame?.type) {
      case 'execution.dispatch':
        return this.#executions.dispatch(frame, connection);
      case 'execution.cancel':
        return this.#executions.cancel(frame.execution_id, frame.reason);
      case 'execution.settled':
        return this.#executions.settled(frame.execution_id);
      case 'session.open':
        return this.#sessions.open(frame, connection);
      case 'session.event':
        return this.#sessions.event(frame, connection);
      case 'agent.alive':
        if (connection !== this.#link.current) return;
        this.#sessions.repeat();
        return this.#requests.repeat();
      case 'reply':
        return this.#requests.reply(frame);
      case 'server.drain':
        this.#log.info('the control plane drains; opening another link', { deadline_ms: frame.deadline_ms });
        if (connection === this.#link.current) this.#link.replace();
        return;
      case 'agent.error':
        return this.#refused(ParleyError.from(frame.error));
      default:
        return;
    }
  }

  writable(): void {
    this.#results.repeatAll(this.#settings.repeatMs);
    this.#outbox.flush();
  }

  down(_connection: LinkConnection, close: { code: number; reason: string }): void {
    this.#log[close.code === 1000 ? 'info' : 'warn']('the link ended', { code: close.code, reason: close.reason });
    if (!this.#link.current) this.#linkId = null;
    // A connection that was replaced is gone: see what it took with it.
    this.#link.current?.send(this.heartbeat());
    this.#reconcile();
  }

  retrying(error: ParleyError, delayMs: number): void {
    this.#log.warn('no link', { code: error.code, message: error.message, retry_in_ms: Math.round(delayMs) });
  }

  // --- what is left

  /** Looks at the state and does the next thing: lets go of replaced links, and ends a drain that is done. */
  #reconcile(): void {
    for (const connection of this.#link.retiring) {
      const used = [this.#executions, this.#results, this.#sessions, this.#requests].some((part) =>
        part.uses(connection),
      );
      if (!used) this.#link.retire(connection);
    }
    const leaving = this.#phase === 'draining' || this.#phase === 'stopping';
    const idle = this.#executions.size + this.#results.size + this.#sessions.size === 0;
    if (leaving && idle) this.#link.stop();
  }

  #refused(error: ParleyError): void {
    this.#log.warn('the control plane refused a frame', { code: error.code, message: error.message });
    const session_id = error.details?.['session_id'];
    if (error.code === 'not_found' && typeof session_id === 'string') this.#sessions.lost(session_id, error);
  }

  /** A checked frame; null for one of a type that came after this code was written, or that is not as it should be. */
  #read(raw: unknown): ServerFrame | null {
    const problem = problemOf('ServerFrame', raw);
    if (!problem) return raw as ServerFrame;
    this.#log.warn('a frame was skipped', { problem: problem.message });
    return null;
  }

  #say(frame: AgentFrame, over: LinkConnection | null): LinkConnection | null {
    const connection = this.#outbox.route(over);
    return connection?.send(JSON.stringify(frame)) ? connection : null;
  }
}
