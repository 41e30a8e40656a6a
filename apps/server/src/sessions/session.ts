// One live session: performs what `step` asks for against the provider, the client, the handler and the executions.
// It decides nothing itself; the decisions are in `step`.

import {
  type ClientEventName,
  closeCodeOf,
  type ErrorObject,
  type EventOf,
  type EventRecord,
  LIMITS,
  type ModelEvent,
  newId,
  ParleyError,
  type PerformedEffect,
  type SessionResource,
  type SessionState,
} from '@parley/core';
import { History, type ModelMedia, type RealtimeModel } from '@parley/providers';
import type { AgentDirectory, ExecutionEngine, HandlerLink, SessionChange } from '../agents/ports.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { BridgeCalls } from './bridge/bridge-calls.ts';
import type { Bridges } from './bridge/bridges.ts';
import type { CallPort, CallStatus } from './call-port.ts';
import { ClientPort } from './client-port.ts';
import { HandlerPort } from './handler-port.ts';
import { SessionLog } from './log.ts';
import { NativeCalls } from './native-calls.ts';
import { ProviderPort } from './provider-port.ts';
import { closedResource, endOfSession } from './resource.ts';
import { Timers } from './timers.ts';
import { TurnPort } from './turn-port.ts';
import { Waiters } from './waiters.ts';

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
  sideband_ms: number;
  bridges: Bridges;
  /** A hang-up that goes on after its session ended. */
  pending: (hangUp: Promise<unknown>) => void;
  /** It is closed and on disk. */
  ended: (session: Session, resource: SessionResource) => void;
  /** Its log could not be written: it is over here, and a later start finds it open on the disk. */
  lost: (session: Session) => void;
}

export class Session {
  readonly log: SessionLog;
  readonly client: ClientPort;
  readonly handler: HandlerPort;
  readonly turns: TurnPort;
  readonly #provider: ProviderPort;
  /** Null where the transport is no WebRTC. */
  readonly #calls: CallPort | null;
  readonly #history = new History();
  readonly #deps: SessionDeps;
  readonly #start: SessionResource;
  readonly #timers = new Timers((timer) => this.record({ type: 'timer.fired', timer }));
  /** For the end of a say (`say_…`) or of a call. */
  readonly #waiters = new Waiters();
  /** Its end is on disk, or never will be. */
  readonly #over = Promise.withResolvers<void>();

  constructor(session: SessionResource, allowed: readonly ClientEventName[], deps: SessionDeps) {
    this.#deps = deps;
    this.#start = session;
    const { store, agents, model, logger } = deps;
    const record = (event: Parameters<SessionLog['append']>[0]): void => this.record(event);
    this.log = new SessionLog({
      session_id: session.session_id,
      store,
      now: deps.now,
      perform: (effect) => this.#perform(effect),
      broken: (error) => this.#broken(error),
    });
    this.log.subscribe((entry, json) => this.#published(entry, json));
    this.client = new ClientPort({
      allowed,
      soft_bytes: deps.client_soft_bytes,
      hard_bytes: deps.client_hard_bytes,
      patience_ms: deps.client_patience_ms,
      attached: (connection_id) => record({ type: 'client.attached', connection_id }),
      detached: (connection_id, { code, reason }) => record({ type: 'client.detached', connection_id, code, reason }),
      rejected: (connection_id, error) => record({ type: 'client.rejected', connection_id, error }),
    });
    this.handler = new HandlerPort({ session, log: this.log, store, agents, record });
    this.#provider = new ProviderPort({
      session,
      model,
      logger,
      record,
      connected: (media, id) => this.#connected(media, id),
      event: (event) => this.#fromModel(event),
    });
    this.#calls = this.#callPort(allowed);
    this.turns = new TurnPort({
      session,
      allowed,
      log: this.log,
      client: this.client,
      cancel: () => this.#provider.send({ type: 'cancel' }),
      now: deps.now,
    });
  }

  get id(): string {
    return this.#start.session_id;
  }

  #callPort(allowed: readonly ClientEventName[]): CallPort | null {
    const { transport, media, session_id } = this.#start;
    if (transport !== 'webrtc') return null;
    const { model, logger, sideband_ms, pending, bridges, now } = this.#deps;
    if (media === 'bridge') {
      return new BridgeCalls({
        bridges,
        client: this.client,
        log: this.log,
        record: (event) => this.record(event),
        listens: allowed.includes('audio'),
        truncate: (item_id, audio_ms) => this.#provider.send({ type: 'truncate', item_id, audio_ms }),
        now,
      });
    }
    return new NativeCalls({
      session_id,
      model,
      provider: this.#provider,
      log: this.log,
      record: (event) => this.record(event),
      connected: ({ connection }) => {
        // The provider knows nothing of the calls before.
        for (const one of this.#history.replay(0, connection.callsAre)) connection.send(one);
        void this.#live(connection.provider_session_id);
      },
      pending,
      logger,
      sideband_ms,
    });
  }

  get state(): SessionState {
    return this.log.state;
  }

  /** The session as it is now. */
  resource(): SessionResource {
    const { phase, seq, turns, tool_calls, usage, enabled_tools } = this.state;
    // What the model may use now: an update may have narrowed what was declared.
    const tools =
      phase === 'new' ? this.#start.tools : this.#start.tools.filter(({ name }) => enabled_tools.includes(name));
    const { user_audio_ms, reply_audio_ms } = this.#provider.counts();
    // Until its end is on disk, and the row says why, a session is closing.
    const status = phase === 'new' ? 'starting' : phase === 'closed' ? 'closing' : phase;
    return { ...this.#start, tools, status, last_seq: seq, turns, tool_calls, usage, user_audio_ms, reply_audio_ms };
  }

  /** Appends an event whose fate nobody waits for; a disk that refuses ends the session by itself. */
  record(event: Parameters<SessionLog['append']>[0]): void {
    this.log.append(event).catch((error) => this.#deps.logger.error({ session_id: this.id, err: error }, 'event lost'));
  }

  /** Speaks `text` and resolves when it was spoken or cut. */
  async say(text: string, by: 'handler' | 'api'): Promise<EventOf<'say.completed'>> {
    this.#checkOpen();
    const say_id = newId('say');
    const ended = this.#waiters.until(say_id);
    await this.log.append({ type: 'say.requested', say_id, text, by });
    const record = (await ended) as EventRecord<EventOf<'say.completed'>>;
    if (record.error) throw ParleyError.from(record.error);
    return record;
  }

  async inject(text: string, respond: boolean, by: 'handler' | 'api'): Promise<void> {
    this.#checkOpen();
    const { phase, waiting_commands } = this.state;
    const limit = LIMITS.texts_waiting_max;
    if (phase === 'starting' && waiting_commands.length >= limit) {
      throw new ParleyError('resource_exhausted', `${limit} texts already wait for the provider`, {
        details: { limit, current: waiting_commands.length },
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
    const ended = this.#waiters.until(call_id);
    const execution_id = newId('execution');
    const text = JSON.stringify(input ?? {});
    await this.log.append({ type: 'tool.called', call_id, name, arguments: text, source: 'client', execution_id });
    const record = await ended;
    if (record.type === 'tool.rejected') throw ParleyError.from(record.error);
    return record as EventRecord<EventOf<'tool.completed'>>;
  }

  /** Ends it, and resolves once its end is on disk. */
  async close(reason: string, by: EventOf<'session.closing'>['by']): Promise<void> {
    const { phase } = this.state;
    if (phase !== 'closing' && phase !== 'closed') await this.log.append({ type: 'session.closing', reason, by });
    await this.#over.promise;
  }

  /** Answers a client's WebRTC offer. */
  async offer(sdp: string, signal: AbortSignal, wantsEvents: boolean): Promise<string> {
    this.#checkOpen();
    return this.#call().offer(sdp, signal, wantsEvents);
  }

  /** How its WebRTC call is. */
  get callStatus(): CallStatus {
    return this.#call().status;
  }

  /** The client hung up. */
  hangUp(): void {
    this.#call().hangUp('hung_up');
  }

  #call(): CallPort {
    if (this.#calls) return this.#calls;
    const { transport } = this.#start;
    throw new ParleyError('failed_precondition', `session ${this.id} has transport '${transport}', not 'webrtc'`, {
      details: { transport },
    });
  }

  /** The handler returned, or threw. */
  handled(error: ErrorObject | undefined): void {
    this.record(error ? { type: 'handler.failed', error } : { type: 'handler.completed' });
  }

  /** The handler's agent is back over another link. */
  async handlerResumed(after_seq: number, link: HandlerLink): Promise<void> {
    this.#checkOpen();
    await this.handler.resumed(after_seq, link);
  }

  #checkOpen(): void {
    const { phase } = this.state;
    if (phase === 'closing' || phase === 'closed') {
      throw new ParleyError('failed_precondition', `session ${this.id} is ${phase}`, { retryable: false });
    }
  }

  #published(record: EventRecord, json: string): void {
    this.client.event(record, json);
    this.handler.event(record);
    if (this.#calls) this.#history.event(record);
    switch (record.type) {
      case 'provider.connected':
        // A session has one handler, however many calls.
        if (this.#start.responder === 'handler' && this.state.handler === 'none') this.handler.open(this.state);
        break;
      case 'say.completed':
        this.#waiters.wake(record.say_id, record);
        break;
      case 'tool.completed':
      case 'tool.rejected':
        this.#deps.metrics.toolCalls.inc({ status: record.type === 'tool.completed' ? record.status : 'rejected' });
        this.#waiters.wake(record.call_id, record);
        break;
      case 'session.closed':
        this.#finish(record);
        break;
      default:
    }
  }

  #perform(effect: PerformedEffect): void {
    switch (effect.kind) {
      case 'provider.connect':
        void this.#provider.connect(this.state);
        break;
      case 'provider.send':
        if (this.#calls) this.#history.command(effect.command);
        this.#provider.send(effect.command);
        break;
      case 'execution.dispatch':
        void this.#dispatch(effect);
        break;
      case 'execution.cancel':
        this.#cancel(effect.execution_id, effect.reason);
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

  #connected(media: ModelMedia, provider_session_id: string | undefined): Promise<unknown> {
    this.client.connect(media);
    return this.#live(provider_session_id);
  }

  #live(provider_session_id: string | undefined): Promise<unknown> {
    const id = provider_session_id === undefined ? {} : { provider_session_id };
    // With its row, so that the list of live sessions finds it.
    return this.log.append({ type: 'provider.connected', model: this.#start.model, ...id }, () => [
      { op: 'session.update', session: this.resource() },
    ]);
  }

  #fromModel(came: ModelEvent): void {
    const event = this.#calls?.told(came, this.state) ?? came;
    this.record(event.type === 'tool.called' ? { ...event, execution_id: newId('execution') } : event);
  }

  async #dispatch(effect: Extract<PerformedEffect, { kind: 'execution.dispatch' }>): Promise<void> {
    const { call_id, execution_id } = effect;
    const started_at_ms = this.#deps.now();
    const ended = await this.#run(effect);
    // It was answered in the meantime: the session has ended.
    const call = this.state.calls[call_id];
    if (!call) return;
    const duration_ms = this.#deps.now() - started_at_ms;
    this.record({ type: 'tool.completed', call_id, name: call.name, execution_id, duration_ms, ...ended });
  }

  async #run({
    execution_id,
    target,
    input,
    timeout_ms,
  }: Extract<PerformedEffect, { kind: 'execution.dispatch' }>): Promise<
    Pick<EventOf<'tool.completed'>, 'status' | 'output' | 'error'>
  > {
    const { executions } = this.#deps;
    const { session_id, workflow_id, execution_id: parent_execution_id } = this.#start;
    const within = { session_id, workflow_id, parent_execution_id };
    try {
      await executions.start({ target, input, execution_id, timeout_ms, ...within });
      const { status, output, error } = await executions.ended(execution_id);
      return {
        status: status as EventOf<'tool.completed'>['status'],
        ...(output === undefined ? {} : { output }),
        ...(error === undefined ? {} : { error }),
      };
    } catch (caught) {
      return { status: 'failed', error: ParleyError.from(caught, 'internal').toObject() };
    }
  }

  #cancel(execution_id: string, reason: string): void {
    this.#deps.executions.cancel(execution_id, reason).catch((error: unknown) => {
      // It may have ended, or never begun, in the same moment.
      this.#deps.logger.debug({ session_id: this.id, execution_id, err: error }, 'cancel came too late');
    });
  }

  #end(reason: string, error: ErrorObject | null): void {
    const { created_at_ms, turns, tool_calls, usage } = this.state;
    const { user_audio_ms, reply_audio_ms } = this.#provider.counts();
    const now = this.#deps.now();
    this.#calls?.close(reason);
    this.#provider.close(reason);
    const closed: EventOf<'session.closed'> = {
      type: 'session.closed',
      reason,
      ...(error === null ? {} : { error }),
      duration_ms: now - created_at_ms,
      turns,
      tool_calls,
      user_audio_ms,
      reply_audio_ms,
      usage,
    };
    this.log
      .append(closed, () => endOfSession(closedResource(this.resource(), closed, now), now))
      .catch((caught) => this.#deps.logger.error({ session_id: this.id, err: caught }, 'end of session lost'));
  }

  #finish(record: EventRecord<EventOf<'session.closed'>>): void {
    const { metrics, ended } = this.#deps;
    const { error, reason, at_ms } = record;
    const { frames_in, frames_out } = this.#provider.counts();
    metrics.frames.inc({ direction: 'in' }, frames_in);
    metrics.frames.inc({ direction: 'out' }, frames_out);
    metrics.framesDropped.inc(this.client.dropped);
    const code = error ? closeCodeOf(error.code, error.retryable) : 1000;
    ended(this, closedResource(this.resource(), record, at_ms));
    this.#leave(code, error?.message ?? reason, new ParleyError('cancelled', `session ${this.id} ended: ${reason}`));
  }

  // Nothing may be acknowledged that is not on disk, so there is nothing left to do but to stop.
  #broken(error: unknown): void {
    this.#deps.logger.error({ session_id: this.id, err: error }, 'the log cannot be written; the session is cut');
    this.#calls?.close('internal');
    this.#provider.close('internal');
    this.#leave(
      closeCodeOf('internal'),
      'the log of this session cannot be written',
      ParleyError.from(error, 'internal'),
    );
    this.#deps.lost(this);
  }

  #leave(close_code: number, reason: string, over: ParleyError): void {
    this.#timers.clearAll();
    this.client.close(close_code, reason);
    this.#waiters.refuse(over);
    this.handler.close();
    this.#over.resolve();
  }
}
