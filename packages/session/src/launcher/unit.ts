// How one session is run: in this event loop, in a thread, or in a process. The launcher knows no more of it than this.

import type { ErrorObject, EventRecord, ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import type { Log } from '../log.ts';
import type { CallMetricsReport } from './call-metrics.ts';
import type { Notice } from './vigil.ts';

/** What has to be run. It can be cloned into a thread, and said as JSON. */
export interface UnitOrder {
  sessionId: string;
  callId: string;
  callType: string;
  input: unknown;
  metadata: Record<string, unknown>;
  configuration: unknown;
  /** Instead of the provider that the session declares. */
  provider: string | undefined;
}

/** What a unit tells while it runs. */
export interface UnitPorts {
  /** The agent is in its call. */
  active(): void;
  /** Somebody came, went, or did something. */
  presence(what: 'joined' | 'left' | 'touched'): void;
  /** An entry of the call's log. Not told by units that run elsewhere. */
  entry(entry: EventRecord): void;
  /** What a unit that runs elsewhere counted. */
  metrics(report: CallMetricsReport): void;
  log: Log;
}

/** How a unit ended. */
export interface UnitEnd {
  reason: string;
  error: ParleyError | null;
  /** It did not end when it was told to, and may still run. */
  abandoned?: true;
}

export interface Unit {
  /** Settles once, and never rejects. */
  readonly ended: Promise<UnitEnd>;
  notice(notice: Notice): void;
  /** Tells it to end. It is given `closeMs` for that, and is then ended or given up. */
  close(reason: string): void;
  /** Gives a client a place in the call. @throws ParleyError when there is none to be had. */
  attach(client: FrameSocket): void;
}

export type UnitFactory = (order: UnitOrder, ports: UnitPorts) => Unit;

/** As it crosses a thread or a process. */
export interface UnitEndMessage {
  reason: string;
  error: ErrorObject | null;
}
