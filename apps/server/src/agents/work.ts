// Where agents and executions meet: who can do work, and what becomes of work that was given out.

import type { AgentFrameOf, ExecutionResource, FunctionDeclaration } from '@parley/core';
import type { ExecutionEngine } from './ports.ts';

/** One process of an agent, as executions see it. It outlives its link for a while. */
export interface Instance {
  readonly agent: string;
  readonly instance_id: string;
  /** Executions that were placed here and have not ended. Kept by the executions, read by the placement. */
  readonly executions: Set<string>;
  /** Those of them that have unfinished children. They wait, so they take no room: else callers would starve callees. */
  readonly parked: Set<string>;
  readonly connected: boolean;
  /** Wants no new work; what its own work calls may still come to it. */
  readonly draining: boolean;
  /** Sends a frame that was serialised before; dropped when there is no link. */
  dispatch(frame: string): void;
  cancel(execution_id: string, reason: string): void;
  settled(execution_id: string): void;
}

/** On whose behalf an execution runs. */
export interface Caller {
  /** Who has the execution that called it. */
  instance: Instance | null;
  /** The session that it belongs to; its handler may be what called it. */
  session_id: string | undefined;
}

/** `away`: its last link went a moment ago and it may be back; `gone`: it will not be waited for. */
export type Presence = 'connected' | 'away' | 'gone' | 'unknown';

/** What executions need of the agents. */
export interface Workforce {
  presence(agent: string): Presence;
  /** Of a connected agent, or as it was registered last by one that is away. */
  remembered(agent: string, name: string): FunctionDeclaration | undefined;
  /**
   * The instance that will run the function: least loaded, connected, below its capacity, not draining; or else the
   * draining one that the caller runs on; or null.
   */
  place(agent: string, name: string, caller: Caller): Instance | null;
}

/** What agents need of the executions. Each may throw a ParleyError, which the link is told. */
export interface ExecutionHost extends Pick<ExecutionEngine, 'start' | 'cancel'> {
  accepted(instance: Instance, execution_id: string): void;
  /** @param frame_bytes size of the whole frame; an output cannot be larger. */
  result(instance: Instance, frame: AgentFrameOf<'execution.result'>, frame_bytes: number): void;
  noted(instance: Instance, frame: AgentFrameOf<'execution.note'>): void;
  /**
   * Its link is gone.
   * @param clean the agent closed it: every frame that it sent was read, so what it did not accept it never will.
   */
  cut(instance: Instance, clean: boolean): void;
  /** It is back. Says what of `in_flight` is wanted, and what has to be sent again after `agent.registered`. */
  returned(instance: Instance, in_flight: readonly string[]): { wanted: string[]; again: string[] };
  resend(instance: Instance, execution_ids: readonly string[]): void;
  /** It did not come back in time. */
  gone(instance: Instance): void;
  /** An agent can take work again. */
  available(agent: string): void;
  /** An execution that this instance runs. Throws `permission_denied`. */
  runBy(instance: Instance, execution_id: string): ExecutionResource;
  /** Resolves with the execution when it has ended; at once when it had. Throws `not_found`. */
  ended(execution_id: string): Promise<ExecutionResource>;
}

/** The part of a logger that this needs; pino fits. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const quiet: Log = { info() {}, warn() {}, error() {} };
