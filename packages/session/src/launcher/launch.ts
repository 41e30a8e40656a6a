// One launch: from its place, or its wait for one, to its end.

import { ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import type { CallHost } from '../call.ts';
import { withFields } from '../log.ts';
import type { Waiting } from './admission.ts';
import { CallMetrics } from './call-metrics.ts';
import { LaunchedSession } from './launched-session.ts';
import type { LauncherSettings } from './options.ts';
import type { Start } from './start-request.ts';
import type { Unit, UnitEnd, UnitOrder, UnitPorts } from './unit.ts';
import type { Units } from './units.ts';
import { type Notice, Vigil } from './vigil.ts';

export interface LaunchPorts {
  settings: LauncherSettings;
  units: Units;
  placeOf(waiting: Waiting): number | null;
  began(): void;
  /** What it ran may still run, though it has ended. */
  abandoned(): void;
  ended(launch: Launch): void;
  /** What a session is told that comes into its call now, if anything. */
  notice(): Notice | null;
}

export class Launch implements Waiting {
  readonly session: LaunchedSession;
  readonly callId: string;
  readonly #start: Start;
  readonly #ports: LaunchPorts;
  /** Where the call is held instead of here. */
  readonly #host: CallHost | undefined;
  #unit: Unit | null = null;
  #vigil: Vigil | null = null;
  /** The time until it must have a place, and then be in its call. */
  #timer: { cancel(): void } | null = null;

  constructor(start: Start, ports: LaunchPorts, host?: CallHost, id?: string) {
    this.callId = start.callId;
    this.#start = start;
    this.#ports = ports;
    this.#host = host;
    const owner = {
      placeOf: () => ports.placeOf(this),
      close: (_session: LaunchedSession, reason: string) => this.close(reason),
    };
    this.session = new LaunchedSession(start, new CallMetrics(), owner, id);
  }

  /** Whether it has no place yet. */
  get waits(): boolean {
    return this.#unit === null;
  }

  /** Waits for a place. */
  wait(): void {
    const { queueTimeoutMs, clock } = this.#ports.settings;
    this.#timer = clock.after(queueTimeoutMs, () => {
      const error = new ParleyError('deadline_exceeded', `no place became free within ${queueTimeoutMs} ms`);
      this.end({ reason: 'queue_timeout', error });
    });
  }

  /** It has a place. */
  admitted(): void {
    const { startTimeoutMs, clock, log } = this.#ports.settings;
    const { id } = this.session;
    this.#timer?.cancel();
    this.#ports.began();
    this.session.became('starting');
    this.#timer = clock.after(startTimeoutMs, () => {
      const error = new ParleyError('deadline_exceeded', `the agent was not in its call within ${startTimeoutMs} ms`);
      this.#unit?.close('start_timeout');
      this.end({ reason: 'start_timeout', error });
    });
    try {
      this.#unit = this.#ports.units.open(this.#order(), this.#unitPorts(), this.#host);
    } catch (thrown) {
      return this.end({ reason: 'failed', error: ParleyError.from(thrown) });
    }
    log.info('session starting', { session_id: id, call_id: this.callId });
    void this.#unit.ended.then((end) => {
      if (end.abandoned) this.#ports.abandoned();
      this.end(end);
    });
  }

  notice(notice: Notice): void {
    this.#unit?.notice(notice);
  }

  /** @throws ParleyError where nobody can be in the call. */
  attach(client: FrameSocket): void {
    if (this.#unit) return this.#unit.attach(client);
    throw new ParleyError('failed_precondition', `session ${this.session.id} is ${this.session.status}`, {
      retryable: true,
    });
  }

  close(reason: string): void {
    const { session } = this;
    if (session.over || session.status === 'closing') return;
    if (!this.#unit) return this.end({ reason, error: null });
    session.became('closing', reason);
    this.#vigil?.stop();
    this.#unit.close(reason);
  }

  end({ reason, error }: UnitEnd): void {
    const { session } = this;
    if (session.over) return;
    this.#timer?.cancel();
    this.#vigil?.stop();
    session.end(reason, error);
    this.#ports.settings.log.info('session ended', {
      session_id: session.id,
      reason,
      ...(error && { code: error.code }),
    });
    this.#ports.ended(this);
  }

  /** @throws what `configure` threw. */
  #order(): UnitOrder {
    const { callId, callType, input, metadata } = this.#start;
    const { provider, configure } = this.#ports.settings;
    const configuration = configure?.(input, callType);
    return { sessionId: this.session.id, callId, callType, input, metadata, configuration, provider };
  }

  #unitPorts(): UnitPorts {
    const { metrics } = this.session;
    return {
      log: withFields(this.#ports.settings.log, { call_id: this.callId }),
      active: () => this.#active(),
      presence: (what) => {
        if (what === 'joined') this.#vigil?.joined();
        else if (what === 'left') this.#vigil?.left();
        else this.#vigil?.touch();
      },
      entry: (entry) => metrics.event(entry),
      metrics: (report) => metrics.reported(report),
    };
  }

  #active(): void {
    const { session } = this;
    if (session.status !== 'starting') return;
    const { agentIdleTimeoutMs, maxSessionDurationMs: durationMs, warningMs, clock, log } = this.#ports.settings;
    this.#timer?.cancel();
    session.became('active');
    log.info('session active', { session_id: session.id });
    // Who is in a call that is held elsewhere is known there.
    const idleMs = this.#host ? 0 : agentIdleTimeoutMs;
    this.#vigil = new Vigil(
      { idleMs, durationMs, warningMs },
      {
        clock,
        notice: (notice) => {
          log.info('session warned', { session_id: session.id, reason: notice.reason, left_ms: notice.leftMs });
          this.notice(notice);
        },
        expired: (reason) => this.close(reason),
      },
    );
    const notice = this.#ports.notice();
    if (notice) this.notice(notice);
  }
}
