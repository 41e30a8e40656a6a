// What functions of an agent are given besides their input.

import type { Usage } from '@parley/core';
import type { RealtimeAgent } from './agent.ts';
import type { RealtimeItem } from './history/item.ts';

/** The run of one session, as instructions, guardrails, hooks and handoffs see it. */
export interface RunContext<C = unknown> {
  /** The value that was given to `run({ context })`, as it is. */
  readonly context: C;
  readonly agent: RealtimeAgent<C>;
  /** The conversation so far. Made when it is read. */
  readonly history: readonly RealtimeItem[];
  /** What the session has cost so far. */
  readonly usage: Usage;
}

/** The same for one call of a tool. */
export interface ToolContext<C = unknown> extends RunContext<C> {
  readonly callId: string;
  readonly responseId: string | undefined;
  /**
   * Aborted when the call is not wanted any more: at its time limit, and by `onInterrupt` (`cancel`: when the user
   * speaks over the answer or the session ends; `finish`: when the session ends; `detach`: never).
   */
  readonly signal: AbortSignal;
}

export type MaybePromise<T> = T | Promise<T>;
