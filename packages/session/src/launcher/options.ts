// What a launcher can be told, with its defaults. Everything that grows has its bound here.

import { type EventRecord, ParleyError, type SchemaLike } from '@parley/core';
import { type Clock, systemClock } from '@parley/transport';
import type { Agent } from '../agent.ts';
import { type Log, stderrLog } from '../log.ts';
import type { ModelLease } from '../local/local-model.ts';
import type { Notice } from './vigil.ts';

/** Where a session runs. `shared`: in this event loop. */
export type Isolation = 'shared' | 'worker' | 'process';

/** What an agent is made for. */
export interface AgentRequest {
  /** What `configure` made of the start; agents of equal configurations can stand in for each other. */
  readonly configuration: unknown;
  /** The session it is for; null where it is made in advance, or to see what it declares. */
  readonly session: LaunchContext | null;
}

/** One session, in the hands of `createAgent` and `joinCall`. */
export interface LaunchContext {
  readonly id: string;
  readonly callId: string;
  readonly callType: string;
  readonly input: unknown;
  readonly metadata: Record<string, unknown>;
  /** Aborted when the session is to end; its reason is a ParleyError. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Says that the agent is at work. `agent.join` says it by itself. */
  active(): void;
}

export interface AgentLauncherOptions {
  /** Makes the agent of one session. */
  createAgent: (request: AgentRequest) => Agent | Promise<Agent>;
  /** Holds the call; its return ends the session. */
  joinCall: (agent: Agent, callType: string, callId: string, session: LaunchContext) => Promise<void> | void;
  /** zod 4, zod 3 or JSON Schema of a start's `input`. */
  input?: SchemaLike | undefined;
  /** The configuration that a start needs its agent to be of: JSON. Default: all starts share one. */
  configure?: ((input: unknown, callType: string) => unknown) | undefined;
  /** Warms what an agent will need, before it counts as ready. */
  warmUp?: ((agent: Agent) => Promise<void> | void) | undefined;
  /** Agents that are kept ready for each configuration; in isolation with their threads or processes. Default 0. */
  warmAgents?: number | undefined;
  /** Configurations that are warmed at the start. Default: the one of starts without an input. */
  warmConfigurations?: readonly unknown[] | undefined;
  /** Configurations that are kept warm; past it the one that was used longest ago goes. Default 16. */
  warmConfigurationsMax?: number | undefined;
  /** How long an agent may be alone in its call. 0: for ever. Default 60,000. */
  agentIdleTimeoutMs?: number | undefined;
  /** Sessions at the same time in this launcher. Default 256. */
  maxConcurrentSessions?: number | undefined;
  /** Sessions at the same time in one call. null, the default: no limit of its own. */
  maxSessionsPerCall?: number | null | undefined;
  /** How long a session may last. null, the default: no limit of its own. */
  maxSessionDurationMs?: number | null | undefined;
  /** How long before an idle timeout or the longest duration a session is told, at most half of that. Default 10,000. */
  warningMs?: number | undefined;
  /** Is told before a session is closed, with the time that is left for a goodbye. */
  onNotice?: ((agent: Agent, notice: Notice, session: LaunchContext) => Promise<void> | void) | undefined;
  /**
   * Is told every entry of a session's log, for sessions that are held here; where sessions are isolated, in their thread
   * or process. What it throws is logged and ends nothing.
   */
  onEntry?: ((entry: EventRecord, session: LaunchContext) => void) | undefined;
  /** Starts that wait for a place, where they ask for `queue`. Default 100. */
  queueMax?: number | undefined;
  /** How long a start waits for a place. Default 60,000. */
  queueTimeoutMs?: number | undefined;
  /** How long a start may take until the agent is in its call. Default 30,000. */
  startTimeoutMs?: number | undefined;
  /** How long a session may take to end by itself once it is told to. Default 2,000. */
  closeMs?: number | undefined;
  /** How long a drain lets sessions go on. Default 30,000. */
  drainMs?: number | undefined;
  /** How long a session can be read after its end. Default 600,000. */
  retainMs?: number | undefined;
  /** Ended sessions that can be read. Default 1,000. */
  retainMax?: number | undefined;
  /** Default `shared`. With `worker` or `process` a crash or a blocked loop ends the one session that it is in. */
  isolation?: Isolation | undefined;
  /**
   * The module that makes this launcher, for threads and processes: the first one that it makes there is taken. Default:
   * the program's main module, and its launcher that was made as the same one in order.
   */
  module?: URL | string | undefined;
  /**
   * Mebibytes of JavaScript objects in one thread or process. Default 512. Only a process is sure to end alone when it
   * passes it: Node cannot always stop a thread in time, and then aborts as a whole.
   */
  isolateHeapMb?: number | undefined;
  /** An event loop that did nothing for so long is blocked: told in the log, with what blocks it, and ended if isolated. Default 5,000. 0: not watched. */
  blockedMs?: number | undefined;
  /** Instead of the provider that sessions declare, for sessions that are held here. */
  provider?: string | undefined;
  /** Where models come from, for sessions that are held here. Default: the environment. */
  leaseModel?: ((provider: string) => Promise<ModelLease>) | undefined;
  /** Default: JSON lines on stderr from `info`. */
  log?: Log | undefined;
  /** For tests. */
  clock?: Clock | undefined;
}

const COUNTS = {
  warmAgents: { least: 0, usual: 0 },
  warmConfigurationsMax: { least: 1, usual: 16 },
  agentIdleTimeoutMs: { least: 0, usual: 60_000 },
  maxConcurrentSessions: { least: 1, usual: 256 },
  warningMs: { least: 0, usual: 10_000 },
  queueMax: { least: 0, usual: 100 },
  queueTimeoutMs: { least: 1, usual: 60_000 },
  startTimeoutMs: { least: 1, usual: 30_000 },
  closeMs: { least: 0, usual: 2_000 },
  drainMs: { least: 0, usual: 30_000 },
  retainMs: { least: 0, usual: 600_000 },
  retainMax: { least: 0, usual: 1_000 },
  isolateHeapMb: { least: 16, usual: 512 },
  blockedMs: { least: 0, usual: 5_000 },
} as const;

// A timer of Node is late at once past this: 24 days.
const MOST = 0x7fffffff;

const NULLABLE = ['maxSessionsPerCall', 'maxSessionDurationMs'] as const;

export type LauncherSettings = AgentLauncherOptions &
  Record<keyof typeof COUNTS, number> &
  Record<(typeof NULLABLE)[number], number | null> & { isolation: Isolation; log: Log; clock: Clock };

/** Fills in defaults. @throws ParleyError `invalid_argument` naming the option. */
export function settleLauncher(options: AgentLauncherOptions): LauncherSettings {
  for (const name of ['createAgent', 'joinCall'] as const) {
    if (typeof options[name] !== 'function') throw refused(name, 'a function', options[name]);
  }
  const numbers: Record<string, number | null> = {};
  for (const [name, { least, usual }] of Object.entries(COUNTS)) {
    const value = options[name as keyof typeof COUNTS] ?? usual;
    if (!Number.isInteger(value) || value < least) throw refused(name, `a whole number of at least ${least}`, value);
    numbers[name] = bounded(name, value);
  }
  for (const name of NULLABLE) {
    const value = options[name] ?? null;
    if (value !== null && (!Number.isInteger(value) || value < 1)) {
      throw refused(name, 'a whole number of at least 1', value);
    }
    numbers[name] = value === null ? null : bounded(name, value);
  }
  const { isolation = 'shared', log = stderrLog(), clock = systemClock } = options;
  if (!['shared', 'worker', 'process'].includes(isolation)) {
    throw refused('isolation', "'shared', 'worker' or 'process'", isolation);
  }
  return { ...options, ...(numbers as Record<keyof typeof COUNTS, number>), isolation, log, clock } as LauncherSettings;
}

function bounded(name: string, value: number): number {
  if (value <= MOST) return value;
  throw refused(name, `at most ${MOST}`, value);
}

function refused(name: string, rule: string, value: unknown): ParleyError {
  const got = typeof value === 'number' || typeof value === 'string' ? value : typeof value;
  return new ParleyError('invalid_argument', `${name} must be ${rule}, got ${got}`, { details: { path: name } });
}
