// A session that is kept in this process: it performs what `step` asks for against a model, the agent's own functions
// and handler, and a client. It decides nothing itself, and its log is not kept: who wants that, listens or uses a
// control plane.

import {
  type ErrorObject,
  type EventRecord,
  fold,
  initialState,
  newId,
  ParleyError,
  type PerformedEffect,
  resolveTools,
  type SessionEvent,
  type SessionState,
  type Timer,
} from '@parley/core';
import type { MediaCounts, ModelConnection, RealtimeModel } from '@parley/providers';
import type { Clock, FrameSocket } from '@parley/transport';
import type { CallEnd, CallListener } from '../call.ts';
import { type Log, withFields } from '../log.ts';
import { LiveSession, type RealtimeSession } from '../realtime-session.ts';
import type { RequestFrame } from '../requests.ts';
import type { SessionDefinition } from '../session-options.ts';
import type { AgentParts } from '../agent-parts.ts';
import { LocalClient } from './local-client.ts';
import { connected } from './local-model.ts';
import { LocalRequests } from './local-requests.ts';
import { LocalFunctions } from './local-functions.ts';

export interface LocalSessionParts {
  id: string;
  agent: AgentParts;
  definition: SessionDefinition;
  model: RealtimeModel;
  metadata: Record<string, unknown>;
  clock: Clock;
  log: Log;
}

const LIMITS = { runningMax: 128, threadsMax: 4, threadHeapMb: 512, cancelMs: 2_000 };
const TURNS_MAX = 32;
const NOTHING: MediaCounts = { user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 };

export class LocalSession {
  readonly #parts: LocalSessionParts;
  readonly #live: LiveSession;
  readonly #functions: LocalFunctions;
  readonly #client: LocalClient;
  readonly #listeners = new Set<CallListener>();
  readonly #timers = new Map<Timer, { cancel(): void }>();
  readonly #requests: LocalRequests;
  readonly #ended = Promise.withResolvers<CallEnd>();
  readonly #connecting = new AbortController();
  /** Events that came while another one was being told. */
  readonly #waiting: SessionEvent[] = [];
  readonly #epoch: number;
  #state: SessionState = initialState();
  #connection: ModelConnection | null = null;
  #telling = false;

  constructor(parts: LocalSessionParts) {
    const { id, agent, definition, clock } = parts;
    const log = withFields(parts.log, { session_id: id });
    const { declaration } = definition;
    this.#parts = { ...parts, log };
    this.#epoch = Date.now() - clock.now();
    const workflow_id = newId('workflow');
    const tools = resolveTools(agent.name, declaration.tools, (owner, name) =>
      owner === agent.name ? agent.functions.get(name)?.declaration : undefined,
    );
    this.#requests = new LocalRequests({
      append: (event) => this.#append(event),
      state: () => this.#state,
      call: (target, input, signal) => this.#functions.call(target, input, this.#live.executionId, signal),
    });
    const open = { session_id: id, session: declaration.name, workflow_id, execution_id: newId('execution') };
    this.#live = new LiveSession(
      { ...open, declaration, tools, metadata: parts.metadata },
      { agent: agent.name, request: (frame, signal) => this.#request(frame, signal), log, turnsMax: TURNS_MAX },
    );
    this.#functions = new LocalFunctions(agent, { sessionId: id, workflowId: workflow_id }, LIMITS, clock, log);
    this.#client = new LocalClient({
      allowed: declaration.client_events,
      attached: (connection_id) => this.#append({ type: 'client.attached', connection_id }),
      detached: (connection_id, { code, reason }) =>
        this.#append({ type: 'client.detached', connection_id, code, reason }),
      rejected: (connection_id, error) => this.#append({ type: 'client.rejected', connection_id, error }),
    });
  }

  /** As the handler and `joinCall` see it. */
  get face(): RealtimeSession {
    return this.#live;
  }

  get ended(): Promise<CallEnd> {
    return this.#ended.promise;
  }

  subscribe(listener: CallListener): void {
    this.#listeners.add(listener);
  }

  start(): void {
    const { id, agent, definition, metadata } = this.#parts;
    const { workflowId: workflow_id, executionId: execution_id, target } = this.#live;
    this.#append({
      type: 'session.created',
      session_id: id,
      workflow_id,
      execution_id,
      agent: agent.name,
      target,
      declaration: definition.declaration,
      tools: [...this.#live.tools],
      metadata,
    });
  }

  /** A client joins the call; one that was there leaves it. The model is connected for the first one. */
  attach(socket: FrameSocket): void {
    this.#checkOpen();
    this.#client.attach(socket);
  }

  close(reason: string): Promise<CallEnd> {
    this.#append({ type: 'session.closing', reason, by: 'server' });
    return this.ended;
  }

  // --- the log

  #append(event: SessionEvent): void {
    this.#waiting.push(event);
    // What is told may ask for more, which then comes after it.
    if (this.#telling) return;
    this.#telling = true;
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) this.#apply(next);
    } finally {
      this.#telling = false;
    }
  }

  #apply(event: SessionEvent): void {
    const { phase } = this.#state;
    if (phase === 'closed' || (event.type === 'session.closing' && phase === 'closing')) return;
    const folded = fold(this.#state, event, Math.round(this.#epoch + this.#parts.clock.now()));
    this.#state = folded.state;
    for (const record of folded.records) this.#tell(record);
    for (const effect of folded.effects) this.#perform(effect);
  }

  #tell(record: EventRecord): void {
    for (const listener of this.#listeners) listener(record);
    this.#client.event(record);
    this.#live.deliver(record);
    if (record.type === 'say.completed') this.#requests.said(record);
    if (record.type === 'provider.connected') this.#handle();
    if (record.type === 'session.closed') this.#leave(record.reason, record.error ?? null);
  }

  #perform(effect: PerformedEffect): void {
    switch (effect.kind) {
      case 'provider.connect':
        void this.#connect();
        return;
      case 'provider.send':
        this.#connection?.send(effect.command);
        return;
      case 'execution.dispatch':
        void this.#dispatch(effect);
        return;
      case 'execution.cancel':
        this.#functions.cancel(effect.execution_id, effect.reason);
        return;
      case 'timer.set':
        this.#timers.get(effect.timer)?.cancel();
        this.#timers.set(
          effect.timer,
          this.#parts.clock.after(Math.min(effect.ms, 0x7fffffff), () =>
            this.#append({ type: 'timer.fired', timer: effect.timer }),
          ),
        );
        return;
      case 'timer.clear':
        this.#timers.get(effect.timer)?.cancel();
        this.#timers.delete(effect.timer);
        return;
      case 'session.end':
        return this.#end(effect.reason, effect.error);
    }
  }

  // --- the model

  async #connect(): Promise<void> {
    const { model, log, id } = this.#parts;
    const { declaration } = this.#state;
    if (!declaration) return;
    const { signal } = this.#connecting;
    try {
      const connection = await connected(model, this.#state, declaration, { safety_id: id, signal });
      this.#connection = connection;
      connection.onEvent((event) =>
        this.#append(event.type === 'tool.called' ? { ...event, execution_id: newId('execution') } : event),
      );
      void connection.closed.then((closed) => this.#append({ type: 'provider.disconnected', ...closed }));
      if (signal.aborted) return connection.close('session_closed');
      this.#client.connect(connection.media);
      const { provider_session_id } = connection;
      this.#append({
        type: 'provider.connected',
        ...(provider_session_id === undefined ? {} : { provider_session_id }),
      });
    } catch (caught) {
      if (signal.aborted) return;
      const error = ParleyError.from(caught, 'unavailable');
      log.warn('no connection to the provider', { code: error.code });
      const { message: reason, retryable: recoverable } = error;
      this.#append({ type: 'provider.disconnected', code: 1006, reason, recoverable, error: error.toObject() });
    }
  }

  // --- functions and the handler

  async #dispatch(effect: Extract<PerformedEffect, { kind: 'execution.dispatch' }>): Promise<void> {
    const { call_id, execution_id, target, input, timeout_ms } = effect;
    const began = this.#parts.clock.now();
    const parent_execution_id = this.#live.executionId;
    const ended = await this.#functions.run({ execution_id, target, input, timeout_ms, parent_execution_id });
    const call = this.#state.calls[call_id];
    // It was answered in the meantime: the session has ended.
    if (!call) return;
    const duration_ms = Math.round(this.#parts.clock.now() - began);
    this.#append({ type: 'tool.completed', call_id, name: call.name, execution_id, duration_ms, ...ended });
  }

  #handle(): void {
    const { handler, declaration } = this.#parts.definition;
    if (!handler || declaration.responder !== 'handler' || this.#state.handler !== 'none') return;
    this.#append({ type: 'handler.attached', link_id: newId('link') });
    // In a turn of its own, so what it does first cannot hold up the telling of the log.
    void Promise.resolve()
      .then(() => handler(this.#live))
      .then(
        () => this.#append({ type: 'handler.completed' }),
        (thrown: unknown) => {
          const error = ParleyError.from(thrown);
          // A handler that lets the end of its session pass through has not failed.
          if (error === this.#live.signal.reason) return;
          if (thrown instanceof Error) this.#parts.log.debug('the handler threw', { stack: thrown.stack });
          this.#append({ type: 'handler.failed', error: error.toObject() });
        },
      );
  }

  async #request(frame: RequestFrame, signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) throw ParleyError.from(signal.reason, 'cancelled');
    this.#checkOpen();
    return this.#requests.take(frame, signal);
  }

  #checkOpen(): void {
    const { phase } = this.#state;
    if (phase !== 'closing' && phase !== 'closed') return;
    throw new ParleyError('failed_precondition', `session ${this.#parts.id} is ${phase}`, { retryable: false });
  }

  // --- the end

  #end(reason: string, error: ErrorObject | null): void {
    const { created_at_ms, turns, tool_calls, usage } = this.#state;
    const { user_audio_ms, reply_audio_ms } = this.#connection?.media.counts() ?? NOTHING;
    const duration_ms = Math.round(this.#epoch + this.#parts.clock.now()) - created_at_ms;
    this.#connecting.abort();
    this.#connection?.close(reason);
    const counts = { duration_ms, turns, tool_calls, user_audio_ms, reply_audio_ms, usage };
    this.#append({ type: 'session.closed', reason, ...(error && { error }), ...counts });
  }

  #leave(reason: string, error: ErrorObject | null): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#functions.close(new ParleyError('cancelled', `the session ended: ${reason}`, { details: { reason } }));
    this.#client.close(reason, error);
    this.#ended.resolve({ reason, error: error ? ParleyError.from(error) : null });
  }
}
