// What a launcher and the thread or process of one session say to each other. It can be cloned.

import type { LogLevel } from '../log.ts';
import type { CallMetricsReport } from './call-metrics.ts';
import type { UnitEndMessage, UnitOrder } from './unit.ts';
import type { Notice } from './vigil.ts';

/** What the launcher says. */
export type IsolateOrder =
  | {
      type: 'begin';
      order: UnitOrder;
      module: string;
      launcher: number;
      aliveMs: number;
      simulatorUrl?: string | undefined;
    }
  | { type: 'notice'; notice: Notice }
  | { type: 'close'; reason: string }
  | { type: 'client.attach'; client: number; wantsEvents: boolean }
  | { type: 'client.frame'; client: number; frame: Uint8Array | string }
  | { type: 'client.closed'; client: number; code: number; reason: string };

/** What it hears. */
export type IsolateReport =
  /** The event loop turns. */
  | { type: 'alive' }
  | { type: 'active' }
  | { type: 'presence'; what: 'joined' | 'left' | 'touched' }
  | { type: 'metrics'; report: CallMetricsReport }
  | { type: 'log'; level: LogLevel; message: string; fields?: Record<string, unknown> | undefined }
  | { type: 'client.frame'; client: number; frame: Uint8Array | string }
  | { type: 'client.closed'; client: number; code: number; reason: string }
  | { type: 'ended'; end: UnitEndMessage };
