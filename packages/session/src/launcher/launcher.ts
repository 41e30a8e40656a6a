// Starts an agent for each call, within limits, and watches it to its end.
//
// P1  The limits are exact: a place is taken in the turn in which it is looked for.
// P2  A session that ended can be read for a while, with why it did.
// P3  Draining starts nothing, tells every session how long it has, and closes what is left at the deadline.

import { ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import type { Agent } from '../agent.ts';
import type { CallHost } from '../call.ts';
import type { Log } from '../log.ts';
import { compileType, type Type } from '../schema.ts';
import { Admission } from './admission.ts';
import { Agents } from './agents.ts';
import { declareLauncher } from './isolated.ts';
import { Launch, type LaunchPorts } from './launch.ts';
import type { LaunchedSession } from './launched-session.ts';
import { type AgentLauncherOptions, type LauncherSettings, settleLauncher } from './options.ts';
import { Roster } from './roster.ts';
import { checkedStart, type StartRequest } from './start-request.ts';
import type { Unit, UnitOrder, UnitPorts } from './unit.ts';
import { Units } from './units.ts';
import type { Notice } from './vigil.ts';

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
  /** Sessions whose `joinCall` did not end when it was told to, and may still run. */
  totalAbandoned: number;
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
  readonly #settings: LauncherSettings;
  readonly #input: Type | null;
  readonly #admission: Admission;
  readonly #agents: Agents;
  readonly #units: Units;
  readonly #roster: Roster;
  readonly #counts = { started: 0, failed: 0, ended: 0, refused: 0, abandoned: 0 };
  #phase: LauncherStatus['phase'] = 'new';
  #warmedUp = false;
  #warming: Promise<void> | null = null;
  /** When what is left will be closed, once it drains. */
  #deadlineAt = 0;

  /** @throws ParleyError `invalid_argument` naming the option. */
  constructor(options: AgentLauncherOptions) {
    const number = declareLauncher(this);
    const settings = settleLauncher(options);
    this.#options = options;
    this.#settings = settings;
    this.#input = settings.input ? compileType(settings.input, 'the input of a start', 'invalid_argument') : null;
    this.#admission = new Admission({
      sessionsMax: settings.maxConcurrentSessions,
      perCallMax: settings.maxSessionsPerCall,
      queueMax: settings.queueMax,
    });
    this.#agents = new Agents(settings);
    this.#units = new Units(settings, this.#agents, number);
    this.#roster = new Roster(settings);
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
    if (!this.#options.log) this.#settings.log = log;
  }

  get status(): LauncherStatus {
    const { started, failed, ended, refused, abandoned } = this.#counts;
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
      totalAbandoned: abandoned,
      warmAgents: this.#agents.ready + this.#units.ready,
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
    this.#warming ??= this.#agents.warm().then(() => this.#units.warm());
    try {
      await this.#warming;
      this.#warmedUp = true;
    } catch (error) {
      this.#warming = null;
      throw error;
    }
  }

  /** An agent that is in no call: what it declares is what this launcher offers. */
  probe(): Promise<Agent> {
    return this.#agents.probe();
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
    return this.#roster.once(idempotencyKey, () => this.#launch(request));
  }

  /** The same for a session that somebody else keeps, with its id. @throws ParleyError `already_exists` while it is here. */
  launchAt(host: CallHost, request: StartRequest, id: string): Promise<LaunchedSession> {
    return this.#launch(request, host, id);
  }

  /** A session that runs, waits, or ended not long ago. */
  get(id: string): LaunchedSession | undefined {
    return this.#roster.session(id);
  }

  /** All of them, in the order of their starts. */
  list(filter: { callId?: string; status?: string } = {}): LaunchedSession[] {
    return this.#roster
      .sessions()
      .filter(({ callId, status }) => (filter.callId ?? callId) === callId && (filter.status ?? status) === status);
  }

  /** Gives a client a place in a session's call: a socket that speaks OpenAI Realtime. @throws ParleyError. */
  attach(id: string, client: FrameSocket): void {
    const launch = this.#roster.launch(id);
    if (launch) return launch.attach(client);
    const status = this.get(id)?.status;
    throw status === undefined
      ? new ParleyError('not_found', `no session ${id}`)
      : new ParleyError('failed_precondition', `session ${id} is ${status}`, { retryable: false });
  }

  /** For the thread or process of one session: makes its agent before it comes. */
  prepare(configuration: unknown): Promise<void> {
    return this.#agents.prepare(configuration);
  }

  /** For the thread or process of one session: runs it there. */
  isolate(order: UnitOrder, ports: UnitPorts): Unit {
    return this.#units.here(order, ports, undefined);
  }

  /**
   * Starts nothing new, tells every session how long it has, and resolves when all have ended; after `drainMs` what is
   * left is closed with the reason `draining`. Again changes nothing, and waits for the same end.
   */
  async drain(drainMs = this.#settings.drainMs): Promise<void> {
    if (this.#phase === 'stopped') return;
    if (this.#phase === 'draining') return this.#roster.empty();
    const { log, clock } = this.#settings;
    this.#phase = 'draining';
    this.#deadlineAt = clock.now() + drainMs;
    log.info('draining', { sessions: this.#roster.size, drain_ms: drainMs });
    for (const launch of this.#roster.open) {
      if (launch.waits) launch.end({ reason: 'draining', error: drained() });
      else launch.notice({ reason: 'draining', leftMs: drainMs });
    }
    const deadline = clock.after(drainMs, () => this.#closeAll('draining'));
    await this.#roster.empty();
    deadline.cancel();
    this.#stopped();
  }

  /** Closes every session now, and resolves when they have ended. */
  async stop(reason = 'stopped'): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'draining';
    this.#closeAll(reason);
    await this.#roster.empty();
    this.#stopped();
  }

  async #launch(request: StartRequest, host?: CallHost, id?: string): Promise<LaunchedSession> {
    this.#checkOpen();
    const checked = checkedStart(request);
    const start = this.#input ? { ...checked, input: await this.#input.parse(checked.input) } : checked;
    this.#checkOpen();
    // Of two with one id the end of the first would be that of both, and the second could not end at all.
    if (id !== undefined && this.#roster.launch(id)) {
      throw new ParleyError('already_exists', `session ${id} is launched already`, { details: { session_id: id } });
    }
    if (this.#phase === 'new') this.#phase = 'running';
    const launch = new Launch(start, this.#ports, host, id);
    let admitted = true;
    try {
      if (request.queue) admitted = this.#admission.takeOrWait(launch);
      else this.#admission.take(start.callId);
    } catch (error) {
      this.#counts.refused += 1;
      throw error;
    }
    this.#roster.add(launch, request.idempotencyKey);
    if (admitted) launch.admitted();
    else launch.wait();
    return launch.session;
  }

  get #ports(): LaunchPorts {
    return {
      settings: this.#settings,
      units: this.#units,
      placeOf: (waiting) => this.#admission.placeOf(waiting),
      began: () => void (this.#counts.started += 1),
      abandoned: () => void (this.#counts.abandoned += 1),
      ended: (launch) => this.#ended(launch),
      notice: () => this.#notice(),
    };
  }

  #ended(launch: Launch): void {
    this.#counts[launch.session.error ? 'failed' : 'ended'] += 1;
    this.#roster.end(launch);
    // Last: the next one that waits begins here.
    if (!this.#admission.leave(launch)) this.#admission.release(launch.callId);
  }

  /** What a session is told that was on its way into its call when the drain began. */
  #notice(): Notice | null {
    if (this.#phase !== 'draining') return null;
    return { reason: 'draining', leftMs: Math.max(0, this.#deadlineAt - this.#settings.clock.now()) };
  }

  #closeAll(reason: string): void {
    for (const launch of this.#roster.open) launch.close(reason);
  }

  #stopped(): void {
    this.#phase = 'stopped';
    this.#units.close();
    this.#agents.close();
    this.#roster.close();
  }

  #checkOpen(): void {
    if (this.#phase === 'draining' || this.#phase === 'stopped') throw drained(this.#phase);
  }
}

function drained(phase = 'draining'): ParleyError {
  return new ParleyError('unavailable', `this launcher is ${phase} and starts nothing`, { retry_after_ms: 2_000 });
}
