// One live session: performs what `step` asks for against the provider, the client, the handler and the executions.
// It decides nothing itself; the decisions are in `step`.

import {
  type ClientEventName,
  closeCodeOf,
  type ErrorObject,
  type EventOf,
  type EventRecord,
  type ModelEvent,
  newId,
  ParleyError,
  type PerformedEffect,
  type SessionResource,
  type SessionState,
} from '@parley/core';
import type { ModelMedia, RealtimeModel } from '@parley/providers';
import type { AgentDirectory, ExecutionEngine } from '../agents/ports.ts';
import type { Store } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Bridges } from './bridge/bridges.ts';
import { Calls } from './calls.ts';
import { ClientPort } from './client-port.ts';
import { HandlerPort } from './handler-port.ts';
import { SessionLog } from './log.ts';
import { ProviderPort } from './provider-port.ts';
import { Requests } from './requests.ts';
import { closedEvent, closedResource, endOfSession, liveResource } from './resource.ts';
import { Timers } from './timers.ts';
import { ToolRuns } from './tool-runs.ts';
import { TurnPort } from './turn-port.ts';

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
  readonly calls: Calls;
  readonly requests: Requests;
  readonly #provider: ProviderPort;
  readonly #tools: ToolRuns;
  readonly #deps: SessionDeps;
  readonly #start: SessionResource;
  readonly #timers = new Timers((timer) => this.record({ type: 'timer.fired', timer }));
  readonly #over = Promise.withResolvers<void>();

  constructor(session: SessionResource, allowed: readonly ClientEventName[], deps: SessionDeps) {
    this.#deps = deps;
    this.#start = session;
    const { store, agents, executions, model, logger, now } = deps;
    const record = (event: Parameters<SessionLog['append']>[0]): void => this.record(event);
    const log = new SessionLog({
      session_id: session.session_id,
      store,
      now,
      perform: (effect) => this.#perform(effect),
      broken: (error) => this.#broken(error),
    });
    this.log = log;
    log.subscribe((entry, json) => this.#published(entry, json));
    const client = new ClientPort({
      allowed,
      soft_bytes: deps.client_soft_bytes,
      hard_bytes: deps.client_hard_bytes,
      patience_ms: deps.client_patience_ms,
      attached: (connection_id) => record({ type: 'client.attached', connection_id }),
      detached: (connection_id, { code, reason }) => record({ type: 'client.detached', connection_id, code, reason }),
      rejected: (connection_id, error) => record({ type: 'client.rejected', connection_id, error }),
    });
    this.client = client;
    this.handler = new HandlerPort({ session, log, store, agents, record });
    const provider = new ProviderPort({
      session,
      model,
      logger,
      record,
      connected: (media, id) => this.#connected(media, id),
      event: (event) => this.#fromModel(event),
    });
    this.#provider = provider;
    this.calls = new Calls({
      session,
      allowed,
      model,
      provider,
      client,
      log,
      record,
      live: (id) => void this.#live(id).catch((error) => this.#lost(error)),
      pending: deps.pending,
      bridges: deps.bridges,
      sideband_ms: deps.sideband_ms,
      logger,
      now,
    });
    this.turns = new TurnPort({ session, allowed, log, client, cancel: () => provider.send({ type: 'cancel' }), now });
    this.requests = new Requests(log);
    this.#tools = new ToolRuns({ session, executions, log, record, logger, now });
  }

  get id(): string {
    return this.#start.session_id;
  }

  /** Resolves when its end is on disk, or never will be. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  get state(): SessionState {
    return this.log.state;
  }

  /** The session as it is now. */
  resource(): SessionResource {
    return liveResource(this.#start, this.state, this.#provider.counts());
  }

  /** Appends an event whose fate nobody waits for; a disk that refuses ends the session by itself. */
  record(event: Parameters<SessionLog['append']>[0]): void {
    this.log.append(event).catch((error) => this.#lost(error));
  }

  #lost(error: unknown): void {
    this.#deps.logger.error({ session_id: this.id, err: error }, 'event lost');
  }

  /** Ends it, and resolves once its end is on disk. */
  async close(reason: string, by: EventOf<'session.closing'>['by']): Promise<void> {
    const { phase } = this.state;
    if (phase !== 'closing' && phase !== 'closed') await this.log.append({ type: 'session.closing', reason, by });
    await this.over;
  }

  /** The handler returned, or threw. */
  handled(error: ErrorObject | undefined): void {
    this.record(error ? { type: 'handler.failed', error } : { type: 'handler.completed' });
  }

  #published(record: EventRecord, json: string): void {
    this.client.event(record, json);
    this.handler.event(record);
    this.calls.event(record);
    this.requests.event(record);
    switch (record.type) {
      case 'provider.connected':
        // A session has one handler, however many calls.
        if (this.#start.responder === 'handler' && this.state.handler === 'none') this.handler.open(this.state);
        break;
      case 'tool.completed':
      case 'tool.rejected':
        this.#deps.metrics.toolCalls.inc({ status: record.type === 'tool.completed' ? record.status : 'rejected' });
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
        this.calls.command(effect.command);
        this.#provider.send(effect.command);
        break;
      case 'execution.dispatch':
        void this.#tools.dispatch(effect);
        break;
      case 'execution.cancel':
        void this.#tools.cancel(effect.execution_id, effect.reason);
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
    const event = this.calls.told(came, this.state);
    this.record(event.type === 'tool.called' ? { ...event, execution_id: newId('execution') } : event);
  }

  #end(reason: string, error: ErrorObject | null): void {
    const at_ms = this.#deps.now();
    const closed = closedEvent(this.state, this.#provider.counts(), { reason, error, at_ms });
    this.calls.close(reason);
    this.#provider.close(reason);
    this.log
      .append(closed, () => endOfSession(closedResource(this.resource(), closed, at_ms), at_ms))
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
    this.calls.close('internal');
    this.#provider.close('internal');
    const cut = ParleyError.from(error, 'internal');
    // No entry will tell a turn of its end, nor the handler of the session's.
    this.turns.fail(cut);
    this.handler.fail();
    this.#leave(closeCodeOf('internal'), 'the log of this session cannot be written', cut);
    this.#deps.lost(this);
  }

  #leave(close_code: number, reason: string, over: ParleyError): void {
    this.#timers.clearAll();
    this.client.close(close_code, reason);
    this.requests.refuse(over);
    this.handler.close();
    this.#over.resolve();
  }
}
