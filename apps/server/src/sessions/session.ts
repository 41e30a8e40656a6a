// One live session: performs what `step` asks for against the provider, the client, the handler and the executions.
// It decides nothing itself; the decisions are in `step`.

import {
  closeCodeOf,
  type ErrorObject,
  type EventOf,
  type EventRecord,
  HANDLER_EVENT_TYPES,
  LIMITS,
  type ModelEvent,
  newId,
  ParleyError,
  type PerformedEffect,
  type SessionResource,
  type SessionState,
} from '@parley/core';
import type { ModelConnection, RealtimeModel } from '@parley/providers';
import type { AgentDirectory, ExecutionEngine, HandlerLink, SessionChange } from '../agents/ports.ts';
import type { Store, Write } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { ClientPort } from './client-port.ts';
import { SessionLog } from './log.ts';
import { Timers } from './timers.ts';

export interface SessionDeps {
  store: Store;
  agents: AgentDirectory;
  executions: ExecutionEngine;
  model: RealtimeModel;
  logger: Logger;
  metrics: Metrics;
  now: () => number;
  client_soft_bytes: number;
  client_hard_bytes: number;
  client_patience_ms: number;
  /** It is closed and on disk. */
  ended: (session: Session, resource: SessionResource) => void;
  /** Its log could not be written: it is over here, and a later start finds it open on the disk. */
  lost: (session: Session) => void;
}

const HANDLER_EVENTS: ReadonlySet<string> = new Set(HANDLER_EVENT_TYPES);

type Waiter = { resolve: (record: EventRecord) => void; reject: (error: ParleyError) => void };

export class Session {
  readonly log: SessionLog;
  readonly client: ClientPort;
  readonly #deps: SessionDeps;
  readonly #start: SessionResource;
  readonly #timers: Timers;
  /** Those who wait for the end of a say (`say_…`) or a call (`call_…`). */
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #abort = new AbortController();
  #connection: ModelConnection | null = null;
  #handler: HandlerLink | null = null;

  constructor(
    resource: SessionResource,
    allowed: ConstructorParameters<typeof ClientPort>[0]['allowed'],
    deps: SessionDeps,
  ) {
    this.#deps = deps;
    this.#start = resource;
    this.#timers = new Timers((timer) => this.record({ type: 'timer.fired', timer }));
    this.log = new SessionLog({
      session_id: resource.session_id,
      store: deps.store,
      now: deps.now,
      perform: (effect) => this.#perform(effect),
      broken: (error) => this.#broken(error),
    });
    this.log.subscribe((record, json) => this.#published(record, json));
    this.client = new ClientPort({
      allowed,
      soft_bytes: deps.client_soft_bytes,
      hard_bytes: deps.client_hard_bytes,
      patience_ms: deps.client_patience_ms,
      attached: (connection_id) => this.record({ type: 'client.attached', connection_id }),
      detached: (connection_id, { code, reason }) =>
        this.record({ type: 'client.detached', connection_id, code, reason }),
      rejected: (connection_id, error) => this.record({ type: 'client.rejected', connection_id, error }),
    });
  }

  get id(): string {
    return this.#start.session_id;
  }

  get state(): SessionState {
    return this.log.state;
  }

  get handlerLinkId(): string | null {
    return this.#handler?.link_id ?? null;
  }

  /** The session as it is now. */
  resource(): SessionResource {
    const { phase, seq, turns, tool_calls, usage } = this.state;
    const media = this.#connection?.media.counts();
    return {
      ...this.#start,
      // Until its end is on disk, and the row says why, a session is closing.
      status: phase === 'new' ? 'starting' : phase === 'closed' ? 'closing' : phase,
      last_seq: seq,
      turns,
      tool_calls,
      usage,
      user_audio_ms: media?.user_audio_ms ?? 0,
      reply_audio_ms: media?.reply_audio_ms ?? 0,
    };
  }

  /** Appends an event whose fate nobody waits for; a disk that refuses ends the session by itself. */
  record(event: Parameters<SessionLog['append']>[0]): void {
    this.log.append(event).catch((error) => this.#deps.logger.error({ session_id: this.id, err: error }, 'event lost'));
  }

  /** Speaks `text` and resolves when it was spoken or cut. */
  async say(text: string, by: 'handler' | 'api'): Promise<EventOf<'say.completed'>> {
    this.#checkOpen();
    const say_id = `say_${newId('item').slice(5)}`;
    const ended = this.#until(say_id);
    await this.log.append({ type: 'say.requested', say_id, text, by });
    const record = (await ended) as EventRecord<EventOf<'say.completed'>>;
    if (record.error) throw ParleyError.from(record.error);
    return record;
  }

  async inject(text: string, respond: boolean, by: 'handler' | 'api'): Promise<void> {
    this.#checkOpen();
    const { phase, waiting_texts } = this.state;
    const limit = LIMITS.texts_waiting_max;
    if (phase === 'starting' && waiting_texts.length >= limit) {
      throw new ParleyError('resource_exhausted', `${limit} texts already wait for the provider`, {
        details: { limit, current: waiting_texts.length },
      });
    }
    await this.log.append({ type: 'input.injected', text, respond, by });
  }

  async update(change: SessionChange, by: 'handler' | 'api'): Promise<void> {
    this.#checkOpen();
    const unknown = change.tools?.find((name) => !this.state.tools.some((tool) => tool.name === name));
    if (unknown !== undefined) {
      throw new ParleyError(
        'permission_denied',
        `tool '${unknown}' was not declared for this session; an update can only narrow its tools`,
      );
    }
    await this.log.append({ type: 'session.updated', by, ...change });
  }

  /** A call of an allowlisted tool by a client; resolves with how it ended. */
  async call(name: string, input: unknown, call_id: string): Promise<EventOf<'tool.completed'>> {
    this.#checkOpen();
    if (Object.hasOwn(this.state.calls, call_id) || this.state.answered.includes(call_id)) {
      throw new ParleyError('already_exists', `call ${call_id} was made before`);
    }
    const ended = this.#until(call_id);
    const event = {
      type: 'tool.called' as const,
      call_id,
      name,
      arguments: JSON.stringify(input ?? {}),
      source: 'client' as const,
    };
    await this.log.append({ ...event, execution_id: newId('execution') });
    const record = await ended;
    if (record.type === 'tool.rejected') throw ParleyError.from(record.error);
    return record as EventRecord<EventOf<'tool.completed'>>;
  }

  async close(reason: string, by: EventOf<'session.closing'>['by']): Promise<void> {
    if (this.state.phase === 'closing' || this.state.phase === 'closed') return;
    await this.log.append({ type: 'session.closing', reason, by });
  }

  handled(error: ErrorObject | undefined): void {
    if (error) this.record({ type: 'handler.failed', error });
    else this.record({ type: 'handler.completed' });
  }

  handlerLost(reason: string): void {
    const link = this.#handler;
    if (!link) return;
    this.#handler = null;
    this.record({ type: 'handler.detached', link_id: link.link_id, reason });
  }

  /** The handler's agent is back over another link; it is sent what it missed. */
  async handlerResumed(after_seq: number, link: HandlerLink): Promise<void> {
    this.#checkOpen();
    const late: EventRecord[] = [];
    const stop = this.log.subscribe((record) => late.push(record));
    let last = after_seq;
    try {
      for (let more = true; more; ) {
        const page = await this.#deps.store.events(this.id, last, 1000);
        for (const stored of page.events) {
          last = stored.seq;
          if (HANDLER_EVENTS.has(stored.type)) link.event(this.id, JSON.parse(stored.json) as EventRecord);
        }
        // A page of long entries is shorter than it was asked to be.
        more = page.events.length > 0 && last < page.last_seq;
      }
    } finally {
      stop();
    }
    for (const record of late) if (record.seq > last && HANDLER_EVENTS.has(record.type)) link.event(this.id, record);
    this.#handler = link;
    this.record({ type: 'handler.attached', link_id: link.link_id });
  }

  #checkOpen(): void {
    const { phase } = this.state;
    if (phase === 'closing' || phase === 'closed') {
      throw new ParleyError('failed_precondition', `session ${this.id} is ${phase}`, { retryable: false });
    }
  }

  #until(id: string): Promise<EventRecord> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? [];
      waiters.push({ resolve, reject });
      this.#waiters.set(id, waiters);
    });
  }

  #published(record: EventRecord, json: string): void {
    this.client.event(record, json);
    if (this.#handler && HANDLER_EVENTS.has(record.type)) this.#handler.event(this.id, record);
    switch (record.type) {
      case 'provider.connected':
        if (this.#start.responder === 'handler') this.#openHandler();
        break;
      case 'say.completed':
        this.#wake(record.say_id, record);
        break;
      case 'tool.completed':
      case 'tool.rejected':
        this.#deps.metrics.toolCalls.inc({ status: record.type === 'tool.completed' ? record.status : 'rejected' });
        this.#wake(record.call_id, record);
        break;
      case 'session.closed':
        this.#finish(record);
        break;
      default:
    }
  }

  #wake(id: string, record: EventRecord): void {
    for (const waiter of this.#waiters.get(id) ?? []) waiter.resolve(record);
    this.#waiters.delete(id);
  }

  #perform(effect: PerformedEffect): void {
    switch (effect.kind) {
      case 'provider.connect':
        void this.#connect();
        break;
      case 'provider.send':
        this.#connection?.send(effect.command);
        break;
      case 'execution.dispatch':
        void this.#dispatch(effect);
        break;
      case 'execution.cancel':
        this.#deps.executions.cancel(effect.execution_id, effect.reason).catch((error: unknown) => {
          // It may have ended, or never begun, in the same moment.
          this.#deps.logger.debug(
            { session_id: this.id, execution_id: effect.execution_id, err: error },
            'cancel came too late',
          );
        });
        break;
      case 'timer.set':
        this.#timers.set(effect.timer, effect.ms);
        break;
      case 'timer.clear':
        this.#timers.clear(effect.timer);
        break;
      case 'session.end':
        this.#end(effect.reason, effect.error);
        break;
    }
  }

  async #connect(): Promise<void> {
    const { declaration, tools, enabled_tools } = this.state;
    if (!declaration) return;
    try {
      const connection = await this.#deps.model.connect({
        model: this.#start.model,
        voice: declaration.voice ?? this.#start.voice,
        instructions: declaration.instructions,
        language: declaration.language,
        modalities: declaration.modalities,
        tools: tools.filter((tool) => enabled_tools.includes(tool.name)),
        turn_detection: declaration.turn_detection ?? null,
        responder: declaration.responder,
        signal: this.#abort.signal,
      });
      this.#connection = connection;
      connection.onEvent((event) => this.#fromModel(event));
      this.client.connect(connection.media);
      void connection.closed.then((closed) => this.record({ type: 'provider.disconnected', ...closed }));
      if (this.#abort.signal.aborted) {
        connection.close('session_closed');
        return;
      }
      const { provider_session_id } = connection;
      const connected = {
        type: 'provider.connected' as const,
        model: this.#start.model,
        ...(provider_session_id === undefined ? {} : { provider_session_id }),
      };
      // With its row, so that the list of live sessions finds it.
      await this.log.append(connected, () => [{ op: 'session.update', session: this.resource() }]);
    } catch (caught) {
      if (this.#abort.signal.aborted) return;
      const error = ParleyError.from(caught, 'unavailable');
      this.#deps.logger.warn({ session_id: this.id, code: error.code }, 'no connection to the provider');
      this.record({
        type: 'provider.disconnected',
        code: 1006,
        reason: error.message,
        recoverable: error.retryable,
        error: error.toObject(),
      });
    }
  }

  #fromModel(event: ModelEvent): void {
    this.record(event.type === 'tool.called' ? { ...event, execution_id: newId('execution') } : event);
  }

  async #dispatch(effect: Extract<PerformedEffect, { kind: 'execution.dispatch' }>): Promise<void> {
    const { call_id, execution_id, target, input, timeout_ms } = effect;
    const started_at_ms = this.#deps.now();
    const { workflow_id, execution_id: parent_execution_id } = this.#start;
    let ended: Pick<EventOf<'tool.completed'>, 'status' | 'output' | 'error'>;
    try {
      await this.#deps.executions.start({
        target,
        input,
        execution_id,
        workflow_id,
        parent_execution_id,
        session_id: this.id,
        timeout_ms,
      });
      const { status, output, error } = await this.#deps.executions.ended(execution_id);
      ended = {
        status: status as EventOf<'tool.completed'>['status'],
        ...(output === undefined ? {} : { output }),
        ...(error === undefined ? {} : { error }),
      };
    } catch (caught) {
      ended = { status: 'failed', error: ParleyError.from(caught, 'internal').toObject() };
    }
    const tool = this.state.calls[call_id];
    if (!tool) return;
    this.record({
      type: 'tool.completed',
      call_id,
      name: tool.name,
      execution_id,
      duration_ms: this.#deps.now() - started_at_ms,
      ...ended,
    });
  }

  #openHandler(): void {
    const { agent, target, session_id, workflow_id, execution_id, metadata } = this.#start;
    const link = this.#deps.agents.placeHandler(agent, target.slice(agent.length + 1));
    const { declaration, tools } = this.state;
    if (!link || !declaration) {
      this.record({
        type: 'handler.failed',
        error: { code: 'unavailable', message: `no connected agent runs the handler of ${target}`, retryable: true },
      });
      return;
    }
    this.#handler = link;
    this.record({ type: 'handler.attached', link_id: link.link_id });
    link.open({ session_id, session: declaration.name, workflow_id, execution_id, declaration, tools, metadata });
  }

  #end(reason: string, error: ErrorObject | null): void {
    this.#abort.abort();
    const { created_at_ms, turns, tool_calls, usage } = this.state;
    const media = this.#connection?.media.counts();
    const now = this.#deps.now();
    this.#connection?.close(reason);
    const closed: EventOf<'session.closed'> = {
      type: 'session.closed',
      reason,
      ...(error === null ? {} : { error }),
      duration_ms: now - created_at_ms,
      turns,
      tool_calls,
      user_audio_ms: media?.user_audio_ms ?? 0,
      reply_audio_ms: media?.reply_audio_ms ?? 0,
      usage,
    };
    this.log
      .append(closed, () => endOfSession(this.#closedResource(closed, now), now))
      .catch((caught) => this.#deps.logger.error({ session_id: this.id, err: caught }, 'end of session lost'));
  }

  #closedResource(closed: EventOf<'session.closed'>, now: number): SessionResource {
    const { reason, error, user_audio_ms, reply_audio_ms } = closed;
    return {
      ...this.resource(),
      status: 'closed',
      user_audio_ms,
      reply_audio_ms,
      closed_at_ms: now,
      close_reason: reason,
      ...(error === undefined ? {} : { error }),
    };
  }

  #finish(record: EventRecord<EventOf<'session.closed'>>): void {
    this.#timers.clearAll();
    const { error, reason } = record;
    const media = this.#connection?.media.counts();
    if (media) {
      this.#deps.metrics.frames.inc({ direction: 'in' }, media.frames_in);
      this.#deps.metrics.frames.inc({ direction: 'out' }, media.frames_out);
    }
    this.#deps.metrics.framesDropped.inc(this.client.dropped);
    this.client.close(error ? closeCodeOf(error.code, error.retryable) : 1000, error ? error.message : reason);
    for (const id of this.#waiters.keys()) {
      const over = new ParleyError('cancelled', `session ${this.id} ended: ${reason}`);
      for (const waiter of this.#waiters.get(id) ?? []) waiter.reject(over);
    }
    this.#waiters.clear();
    this.#handler = null;
    this.#deps.ended(this, this.#closedResource(record, record.at_ms));
  }

  // Nothing may be acknowledged that is not on disk, so there is nothing left to do but to stop.
  #broken(error: unknown): void {
    this.#deps.logger.error({ session_id: this.id, err: error }, 'the log cannot be written; the session is cut');
    this.#abort.abort();
    this.#timers.clearAll();
    this.#connection?.close('internal');
    this.client.close(closeCodeOf('internal'), 'the log of this session cannot be written');
    for (const waiters of this.#waiters.values())
      for (const waiter of waiters) waiter.reject(ParleyError.from(error, 'internal'));
    this.#waiters.clear();
    this.#handler = null;
    this.#deps.lost(this);
  }
}

/** What the end of a session writes beside its last event: its row, and the end of its root execution. */
export function endOfSession(resource: SessionResource, now: number): Write[] {
  const { workflow_id, execution_id, session_id, target, error, close_reason, created_at_ms } = resource;
  return [
    { op: 'session.update', session: resource },
    {
      op: 'execution.update',
      execution: {
        execution_id,
        workflow_id,
        session_id,
        target,
        kind: 'session',
        status: error
          ? 'failed'
          : close_reason === 'max_duration'
            ? 'timed_out'
            : close_reason === 'drain'
              ? 'cancelled'
              : 'succeeded',
        reason: close_reason ?? 'closed',
        ...(error === undefined ? {} : { error }),
        created_at_ms,
        started_at_ms: created_at_ms,
        finished_at_ms: now,
        duration_ms: now - created_at_ms,
      },
    },
  ];
}
