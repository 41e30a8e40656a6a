// What a launcher and the thread or process of one session say to each other. It can be cloned.

import type { LogLevel } from '../log.ts';
import type { CallMetricsReport } from './call-metrics.ts';
import type { UnitEndMessage, UnitOrder } from './unit.ts';
import type { Notice } from './vigil.ts';

/** Which launcher of which module it is, and how it lives. */
export interface IsolatedProgram {
  module: string;
  launcher: number;
  /** How often it says that it is there. */
  aliveMs: number;
  simulatorUrl?: string | undefined;
}

/** What the launcher says. */
export type IsolateOrder =
  /** Makes an agent and warms it, for a session that is still to come. */
  | { type: 'prepare'; configuration: unknown; program: IsolatedProgram }
  | { type: 'begin'; order: UnitOrder; program: IsolatedProgram }
  | { type: 'notice'; notice: Notice }
  | { type: 'close'; reason: string }
  | { type: 'client.attach'; client: number; wantsEvents: boolean }
  | { type: 'client.frame'; client: number; frame: Uint8Array | string }
  | { type: 'client.closed'; client: number; code: number; reason: string };

/** What it hears. */
export type IsolateReport =
  /** The event loop turns. */
  | { type: 'alive' }
  /** What was to be prepared is. */
  | { type: 'ready' }
  | { type: 'active' }
  | { type: 'presence'; what: 'joined' | 'left' | 'touched' }
  | { type: 'metrics'; report: CallMetricsReport }
  | { type: 'log'; level: LogLevel; message: string; fields?: Record<string, unknown> | undefined }
  | { type: 'client.frame'; client: number; frame: Uint8Array | string }
  | { type: 'client.closed'; client: number; code: number; reason: string }
  | { type: 'ended'; end: UnitEndMessage };
