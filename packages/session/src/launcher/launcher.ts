// Starts an agent for each call, within limits, and watches it to its end.
//
// P1  The limits are exact: a place is taken in the turn in which it is looked for.
// P2  A session that ended can be read for a while, with why it did.
// P3  Draining starts nothing, tells every session how long it has, and closes what is left at the deadline.

import { pathToFileURL } from 'node:url';
import { type EventRecord, ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import type { Agent } from '../agent.ts';
import { type CallHost, partsOf } from '../call.ts';
import { type Log, withFields } from '../log.ts';
import { compileType, type Type } from '../schema.ts';
import { Admission, type Waiting } from './admission.ts';
import { CallMetrics } from './call-metrics.ts';
import { LaunchedSession } from './launched-session.ts';
import { type AgentLauncherOptions, type LauncherSettings, settleLauncher } from './options.ts';
import { declareLauncher } from './isolated.ts';
import { IsolatedUnit } from './isolated-unit.ts';
import { SharedUnit } from './shared-unit.ts';
import { checkedStart, type Start, type StartRequest } from './start-request.ts';
import type { Unit, UnitEnd, UnitOrder, UnitPorts } from './unit.ts';
import { Vigil } from './vigil.ts';
import { WarmPool } from './warm-pool.ts';

/** A session with what the launcher needs for it. */
interface Held {
  readonly session: LaunchedSession;
  readonly start: Start;
  readonly waiting: Waiting;
  /** Where the call is held instead of here. */
  readonly host: CallHost | undefined;
  unit: Unit | null;
  vigil: Vigil | null;
  /** The time until it must have a place, and then be in its call. */
  timer: { cancel(): void } | null;
}

/** What a launcher can be asked for at any time. */
export interface LauncherStatus {
  phase: 'new' | 'running' | 'draining' | 'stopped';
  warmedUp: boolean;
  /** Sessions that hold a place. */
  active: number;
  queued: number;
  limit: number;
  totalStarted: number;
  totalFailed: number;
  totalEnded: number;
  totalRefused: number;
  warmAgents: number;
}

/**
 * Starts one agent per call, and warms, caps, times out, drains and watches them.
 *
 * @example
 * const launcher = new AgentLauncher({
 *   createAgent: () => support,
 *   joinCall: async (agent, callType, callId) => {
 *     await using call = await agent.join(agent.createCall(callType, callId));
 *     await agent.simpleResponse('Greet the caller.');
 *     await agent.finish();
 *   },
 *   maxConcurrentSessions: 10,
 *   maxSessionsPerCall: 1,
 * });
 * const session = await launcher.launch({ callId: 'call-42' });
 * await session.finished;
 */
export class AgentLauncher {
  readonly #options: AgentLauncherOptions;
  #settings: LauncherSettings;
  readonly #admission: Admission;
  readonly #pool: WarmPool<Agent>;
  readonly #input: Type | null;
  readonly #held = new Map<string, Held>();
  readonly #retained = new Map<string, LaunchedSession>();
  readonly #keys = new Map<string, Promise<LaunchedSession>>();
  /** The key that a session was started with. */
  readonly #keyOf = new Map<string, string>();
  /** When an ended session is forgotten. */
  readonly #retention = new Map<string, { cancel(): void }>();
  readonly #counts = { started: 0, failed: 0, ended: 0, refused: 0 };
  readonly #idle = new Set<() => void>();
  /** Among the launchers of this thread. */
  readonly #number: number;
  #phase: LauncherStatus['phase'] = 'new';
  #warmedUp = false;
  #warming: Promise<void> | null = null;
  #probe: Agent | null = null;
  #simulator: Promise<{ url: string; release: () => void }> | null = null;

  /** @throws ParleyError `invalid_argument` naming the option. */
  constructor(options: AgentLauncherOptions) {
    this.#number = declareLauncher(this);
    const settings = settleLauncher(options);
    this.#options = options;
    this.#settings = settings;
    this.#input = settings.input ? compileType(settings.input, 'the input of a start', 'invalid_argument') : null;
    this.#admission = new Admission({
      sessionsMax: settings.maxConcurrentSessions,
      perCallMax: settings.maxSessionsPerCall,
      queueMax: settings.queueMax,
    });
    this.#pool = new WarmPool({
      size: settings.isolation === 'shared' ? settings.warmAgents : 0,
      configurationsMax: settings.warmConfigurationsMax,
      make: (configuration) => this.#make({ configuration, session: null }),
      drop: () => undefined,
      log: settings.log,
    });
  }

  get settings(): Readonly<LauncherSettings> {
    return this.#settings;
  }

  /** Another launcher of the same options, some of them changed. */
  with(changes: Partial<AgentLauncherOptions>): AgentLauncher {
    return new AgentLauncher({ ...this.#options, ...changes });
  }

  /** Logs there from now on, where no log was given. */
  logTo(log: Log): void {
    if (!this.#options.log) this.#settings = { ...this.#settings, log };
  }

  get status(): LauncherStatus {
    const { started, failed, ended, refused } = this.#counts;
    return {
      phase: this.#phase,
      warmedUp: this.#warmedUp,
      active: this.#admission.taken,
      queued: this.#admission.queued,
      limit: this.#settings.maxConcurrentSessions,
      totalStarted: started,
      totalFailed: failed,
      totalEnded: ended,
      totalRefused: refused,
      warmAgents: this.#pool.size,
    };
  }

  /** Why it takes no start now, or null: `starting`, `draining`, `stopped` or `node_at_capacity`. */
  get unready(): string | null {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return this.#phase;
    if (!this.#warmedUp) return 'starting';
    return this.#admission.taken >= this.#settings.maxConcurrentSessions ? 'node_at_capacity' : null;
  }

  /**
   * Makes one agent, and warms it and as many as are to be kept ready. A launch does it by itself.
   * @throws ParleyError what `createAgent` or `warmUp` threw; another try may be made.
   */
  async start(): Promise<void> {
    this.#checkOpen();
    this.#phase = 'running';
    this.#warming ??= this.#warm();
    try {
      await this.#warming;
    } catch (error) {
      this.#warming = null;
      throw error;
    }
  }

  /** An agent that is in no call: what it declares is what this launcher offers. */
  async probe(): Promise<Agent> {
    this.#probe ??= await this.#make({ configuration: this.#settings.warmConfigurations?.[0], session: null });
    return this.#probe;
  }

  /**
   * Starts an agent for a call. Resolves when it has a place, or waits for one; `session.active` tells when the agent is
   * in its call. Starts run side by side.
   * @throws ParleyError `invalid_argument`; `resource_exhausted` with `reason`, `limit` and `current` in its details;
   * `unavailable` while draining.
   */
  launch(request: StartRequest = {}): Promise<LaunchedSession> {
    const { idempotencyKey } = request;
    if (idempotencyKey === undefined) return this.#launch(request);
    const known = this.#keys.get(idempotencyKey);
    if (known) return known;
    const launched = this.#launch(request);
    this.#keys.set(idempotencyKey, launched);
    launched.then(
      ({ id }) => this.#keyOf.set(id, idempotencyKey),
      // A start that was refused began nothing, so the next one with this key is a new try.
      () => this.#keys.delete(idempotencyKey),
    );
    return launched;
  }

  /** The same for a session that somebody else keeps, with its id. */
  async launchAt(host: CallHost, request: StartRequest, id: string): Promise<LaunchedSession> {
    return this.#launch(request, host, id);
  }

  /** A session that runs, waits, or ended not long ago. */
  get(id: string): LaunchedSession | undefined {
    return this.#held.get(id)?.session ?? this.#retained.get(id);
  }

  /** All of them, in the order of their starts. */
  list(filter: { callId?: string; status?: string } = {}): LaunchedSession[] {
    const all = [...this.#retained.values(), ...[...this.#held.values()].map(({ session }) => session)];
    return all
      .filter(({ callId, status }) => (filter.callId ?? callId) === callId && (filter.status ?? status) === status)
      .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime());
  }

  /** Gives a client a place in a session's call: a socket that speaks OpenAI Realtime. @throws ParleyError. */
  attach(id: string, client: FrameSocket): void {
    const held = this.#held.get(id);
    if (!held?.unit) {
      const status = this.get(id)?.status;
      throw status === undefined
        ? new ParleyError('not_found', `no session ${id}`)
        : new ParleyError('failed_precondition', `session ${id} is ${status}`, { retryable: status === 'queued' });
    }
    held.unit.attach(client);
  }

  /**
   * Starts nothing new, tells every session how long it has, and resolves when all have ended; after `drainMs` what is
   * left is closed with the reason `draining`.
   */
  async drain(drainMs = this.#settings.drainMs): Promise<void> {
    if (this.#phase === 'stopped') return;
    if (this.#phase !== 'draining') {
      this.#phase = 'draining';
      this.#settings.log.info('draining', { sessions: this.#held.size, drain_ms: drainMs });
      for (const held of this.#held.values()) {
        if (!held.unit) this.#end(held, { reason: 'draining', error: drained() });
        else held.unit.notice({ reason: 'draining', leftMs: drainMs });
      }
    }
    const deadline = this.#settings.clock.after(drainMs, () => this.#closeAll('draining'));
    await this.#empty();
    deadline.cancel();
    this.#stopped();
  }

  /** Closes every session now, and resolves when they have ended. */
  async stop(reason = 'stopped'): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'draining';
    this.#closeAll(reason);
    await this.#empty();
    this.#stopped();
  }

  // --- starting

  async #launch(request: StartRequest, host?: CallHost, id?: string): Promise<LaunchedSession> {
    this.#checkOpen();
    const checked = checkedStart(request);
    const start = this.#input ? { ...checked, input: await this.#input.parse(checked.input) } : checked;
    this.#checkOpen();
    if (this.#phase === 'new') this.#phase = 'running';
    const metrics = new CallMetrics();
    const session = new LaunchedSession(
      start,
      metrics,
      this.#ownerOf(() => held),
      id,
    );
    const held: Held = {
      session,
      start,
      host,
      waiting: { callId: start.callId, admitted: () => this.#begin(held) },
      unit: null,
      vigil: null,
      timer: null,
    };
    try {
      const admitted = request.queue ? this.#admission.takeOrWait(held.waiting) : this.#admit(start.callId);
      this.#held.set(session.id, held);
      if (admitted) this.#begin(held);
      else this.#queue(held);
    } catch (error) {
      this.#counts.refused += 1;
      throw error;
    }
    return session;
  }

  #admit(callId: string): true {
    this.#admission.take(callId);
    return true;
  }

  #queue(held: Held): void {
    const { queueTimeoutMs, clock } = this.#settings;
    held.timer = clock.after(queueTimeoutMs, () => {
      const error = new ParleyError('deadline_exceeded', `no place became free within ${queueTimeoutMs} ms`);
      this.#end(held, { reason: 'queue_timeout', error });
    });
  }

  #begin(held: Held): void {
    const { session, start } = held;
    const { startTimeoutMs, clock, log } = this.#settings;
    held.timer?.cancel();
    this.#counts.started += 1;
    session.became('starting');
    held.timer = clock.after(startTimeoutMs, () => {
      const error = new ParleyError('deadline_exceeded', `the agent was not in its call within ${startTimeoutMs} ms`);
      held.unit?.close('start_timeout');
      this.#end(held, { reason: 'start_timeout', error });
    });
    const order: UnitOrder = {
      sessionId: session.id,
      callId: start.callId,
      callType: start.callType,
      input: start.input,
      metadata: start.metadata,
      configuration: undefined,
      provider: this.#settings.provider,
    };
    try {
      order.configuration = this.#settings.configure?.(start.input, start.callType);
      held.unit = this.#unit(order, this.#portsOf(held), held.host);
    } catch (thrown) {
      return this.#end(held, { reason: 'failed', error: ParleyError.from(thrown) });
    }
    log.info('session starting', { session_id: session.id, call_id: start.callId });
    void held.unit.ended.then((end) => this.#end(held, end));
  }

  #unit(order: UnitOrder, ports: UnitPorts, host: CallHost | undefined): Unit {
    const { isolation, isolateHeapMb: heapMb, blockedMs, closeMs, clock } = this.#settings;
    // What a control plane keeps comes over this process's link.
    if (isolation === 'shared' || host) return this.#shared(order, ports, host);
    const parts = {
      kind: isolation,
      module: this.#module(),
      launcher: this.#settings.module === undefined ? this.#number : 0,
      heapMb,
      blockedMs,
      closeMs,
      clock,
      simulatorUrl: this.#simulatorUrl(),
    };
    return new IsolatedUnit(order, parts, ports);
  }

  /** The simulator of isolated sessions, where their agents need one and the environment names none. */
  async #simulatorUrl(): Promise<string | undefined> {
    if (process.env['PARLEY_SIMULATOR_URL']) return undefined;
    const providers = [...partsOf(await this.probe()).sessions.values()].map(({ declaration }) => declaration.provider);
    if ((this.#settings.provider ?? 'simulator') !== 'simulator') return undefined;
    if (this.#settings.provider === undefined && !providers.includes('simulator')) return undefined;
    this.#simulator ??= import('../local/local-model.ts').then(({ leaseSimulator }) => leaseSimulator(process.env));
    return `${(await this.#simulator).url}/v1`;
  }

  /** For the thread or process of one session: runs it there. */
  isolate(order: UnitOrder, ports: UnitPorts): Unit {
    return this.#shared(order, ports, undefined);
  }

  #module(): string {
    const module = this.#settings.module ?? process.argv[1];
    if (module === undefined) {
      throw new ParleyError('failed_precondition', 'isolation needs `module`: the file that makes this launcher');
    }
    const url = module instanceof URL || URL.canParse(module) ? new URL(module) : pathToFileURL(module);
    return url.href;
  }

  #shared(order: UnitOrder, ports: UnitPorts, host: CallHost | undefined): Unit {
    const { joinCall, onNotice, closeMs, clock, leaseModel } = this.#settings;
    return new SharedUnit(
      order,
      {
        joinCall,
        onNotice,
        closeMs,
        clock,
        leaseModel,
        host,
        agentFor: async ({ configuration }, context) =>
          this.#pool.take(configuration) ?? this.#make({ configuration, session: context }),
      },
      ports,
    );
  }

  #portsOf(held: Held): UnitPorts {
    const { session } = held;
    const { agentIdleTimeoutMs: idleMs, maxSessionDurationMs: durationMs, warningMs, clock, log } = this.#settings;
    return {
      log: withFields(log, { call_id: session.callId }),
      active: () => {
        if (session.status !== 'starting') return;
        held.timer?.cancel();
        session.became('active');
        log.info('session active', { session_id: session.id });
        held.vigil = new Vigil(
          // Who is in a call that is held elsewhere is known there.
          { idleMs: held.host ? 0 : idleMs, durationMs, warningMs },
          {
            clock,
            notice: (notice) => {
              log.info('session warned', { session_id: session.id, reason: notice.reason, left_ms: notice.leftMs });
              held.unit?.notice(notice);
            },
            expired: (reason) => this.#close(held, reason),
          },
        );
        if (this.#phase === 'draining') held.unit?.notice({ reason: 'draining', leftMs: this.#settings.drainMs });
      },
      presence: (what) => {
        if (what === 'joined') held.vigil?.joined();
        else if (what === 'left') held.vigil?.left();
        else held.vigil?.touch();
      },
      entry: (entry: EventRecord) => session.metrics.event(entry),
      metrics: (report) => session.metrics.reported(report),
    };
  }

  async #make(request: Parameters<AgentLauncherOptions['createAgent']>[0]): Promise<Agent> {
    const agent = await this.#settings.createAgent(request);
    partsOf(agent);
    await this.#settings.warmUp?.(agent);
    return agent;
  }

  async #warm(): Promise<void> {
    const { warmConfigurations = [this.#settings.configure?.(undefined, 'default')] } = this.#settings;
    await this.probe();
    await Promise.all(warmConfigurations.map((configuration) => this.#pool.warm(configuration)));
    this.#warmedUp = true;
  }

  // --- ending

  #ownerOf(held: () => Held) {
    return {
      clock: this.#settings.clock,
      placeOf: () => this.#admission.placeOf(held().waiting),
      close: (_session: LaunchedSession, reason: string) => this.#close(held(), reason),
    };
  }

  #close(held: Held, reason: string): void {
    const { session, unit } = held;
    if (session.over || session.status === 'closing') return;
    if (!unit) return this.#end(held, { reason, error: null });
    session.became('closing', reason);
    held.vigil?.stop();
    unit.close(reason);
  }

  #end(held: Held, { reason, error }: UnitEnd): void {
    const { session, start } = held;
    if (session.over) return;
    const { log, clock, retainMs, retainMax } = this.#settings;
    held.timer?.cancel();
    held.vigil?.stop();
    session.end(reason, error);
    this.#counts[error ? 'failed' : 'ended'] += 1;
    log.info('session ended', { session_id: session.id, reason, ...(error && { code: error.code }) });
    this.#held.delete(session.id);
    this.#retained.set(session.id, session);
    if (this.#retained.size > retainMax) this.#forget(this.#retained.keys().next().value as string);
    const timer = clock.after(retainMs, () => this.#forget(session.id));
    this.#retention.set(session.id, timer);
    // Last: the next one that waits begins here.
    if (!this.#admission.leave(held.waiting)) this.#admission.release(start.callId);
    if (this.#held.size === 0) for (const wake of this.#idle) wake();
  }

  #forget(id: string): void {
    const key = this.#keyOf.get(id);
    if (key !== undefined) this.#keys.delete(key);
    this.#keyOf.delete(id);
    this.#retained.delete(id);
    this.#retention.get(id)?.cancel();
    this.#retention.delete(id);
  }

  #closeAll(reason: string): void {
    for (const held of this.#held.values()) this.#close(held, reason);
  }

  async #empty(): Promise<void> {
    if (this.#held.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#idle.add(resolve);
    await promise;
    this.#idle.delete(resolve);
  }

  #stopped(): void {
    this.#phase = 'stopped';
    // One that did not start was told to the sessions that wanted it.
    void this.#simulator?.then(({ release }) => release()).catch(() => undefined);
    this.#pool.close();
    for (const timer of this.#retention.values()) timer.cancel();
    this.#retention.clear();
  }

  #checkOpen(): void {
    if (this.#phase === 'draining' || this.#phase === 'stopped') throw drained(this.#phase);
  }
}

function drained(phase = 'draining'): ParleyError {
  return new ParleyError('unavailable', `this launcher is ${phase} and starts nothing`, { retry_after_ms: 2_000 });
}
