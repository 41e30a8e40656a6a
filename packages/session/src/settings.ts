// What can be set about a running agent, with its defaults. Everything that grows has its bound here.

import { availableParallelism } from 'node:os';
import { ParleyError, TIMES } from '@parley/core';
import { type BackoffOptions, type Clock, systemClock } from '@parley/transport';
import { type Log, stderrLog } from './log.ts';

export interface AgentOptions {
  /** Control plane: `ws://`, `wss://`, `http://` or `https://`. Default `PARLEY_URL`, else ws://127.0.0.1:7700. */
  url?: string | undefined;
  /** Key for the control plane; sent in a header only. Default `PARLEY_KEY`; none is needed on loopback. */
  key?: string | undefined;
  /** Default: JSON lines on stderr from `info`. */
  log?: Log | undefined;
  /** Executions that run at the same time. Default 128. */
  executionsMax?: number | undefined;
  /** Executions that wait for a place; one more is answered with resource_exhausted. Default 1,024. */
  executionsWaitingMax?: number | undefined;
  /**
   * Worker threads that work at the same time, for functions whose bodies are modules; more wait. A thread whose
   * function waits for a function that it called is not counted. Default: as many as the machine has cores, at least 2.
   */
  threadsMax?: number | undefined;
  /** Mebibytes of JavaScript objects in one thread; past it the thread ends, and what it ran with it. Default 512. */
  threadHeapMb?: number | undefined;
  /** Handlers that run at the same time. Default 256. */
  sessionsMax?: number | undefined;
  /** Turns that wait for one handler; past it the oldest is dropped. Default 32. */
  turnsMax?: number | undefined;
  /** Requests to the control plane without a reply. Default 1,024. */
  requestsMax?: number | undefined;
  /** Frames that wait for a link. Default 1,024. */
  outboxFramesMax?: number | undefined;
  /** Characters of those frames. Default 16 Mi. */
  outboxBytesMax?: number | undefined;
  /** Characters of results that the control plane has not confirmed. Default 64 Mi. */
  resultBytesMax?: number | undefined;
  /** How long a function that was cancelled may take to end by itself; then a thread is terminated. Default 2,000. */
  cancelMs?: number | undefined;
  /** How long a drain may take before it becomes a stop. Default 30,000. */
  drainMs?: number | undefined;
  /** How long a stop waits for what it cancelled. Default 3,000. */
  stopMs?: number | undefined;
  /** How long dialling may take, and then registering. Default 10,000. */
  connectMs?: number | undefined;
  /** A result that was not confirmed is sent again after this. Default 10,000. */
  repeatMs?: number | undefined;
  backoff?: BackoffOptions | undefined;
  /** For tests. */
  clock?: Clock | undefined;
}

/** The options with their defaults filled in. */
export type WorkerSettings = Pick<AgentOptions, 'key' | 'backoff'> &
  typeof DEFAULTS & { url: string; log: Log; clock: Clock };

const DEFAULTS = {
  executionsMax: 128,
  executionsWaitingMax: 1024,
  threadsMax: Math.max(2, availableParallelism()),
  threadHeapMb: 512,
  sessionsMax: 256,
  turnsMax: 32,
  requestsMax: 1024,
  outboxFramesMax: 1024,
  outboxBytesMax: 16 * 1024 * 1024,
  resultBytesMax: 64 * 1024 * 1024,
  cancelMs: 2_000,
  drainMs: TIMES.drain_ms as number,
  stopMs: 3_000,
  connectMs: 10_000,
  repeatMs: 10_000,
};

/** Fills in defaults. Throws ParleyError `invalid_argument`. */
export function settle(options: AgentOptions): WorkerSettings {
  const numbers = { ...DEFAULTS };
  for (const key of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    const value = options[key];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < 1) {
      throw new ParleyError('invalid_argument', `${key} must be a whole number of at least 1, got ${value}`);
    }
    numbers[key] = value;
  }
  return {
    ...numbers,
    url: linkUrl(options.url ?? (process.env['PARLEY_URL'] || 'ws://127.0.0.1:7700')),
    key: options.key ?? (process.env['PARLEY_KEY'] || undefined),
    log: options.log ?? stderrLog(),
    backoff: options.backoff,
    clock: options.clock ?? systemClock,
  };
}

const LINK_PATH = '/api/v1/agent-link';

/** The address of the agent link at a control plane; an address without a path means the usual one. */
export function linkUrl(raw: string): string {
  const url = URL.canParse(raw) ? new URL(raw) : null;
  // Only the scheme is shown: an address that is wrong may hold a secret.
  const scheme = { 'ws:': 'ws:', 'wss:': 'wss:', 'http:': 'ws:', 'https:': 'wss:' }[url?.protocol ?? ''];
  if (!url || !scheme) {
    const got = url ? url.protocol : 'something that is no URL';
    throw new ParleyError('invalid_argument', `url must start with ws://, wss://, http:// or https://, got ${got}`);
  }
  if (url.username || url.password) {
    throw new ParleyError('invalid_argument', 'url must not hold a user or a password; give the key as `key`');
  }
  url.protocol = scheme;
  if (url.pathname === '/') url.pathname = LINK_PATH;
  return url.href;
}
