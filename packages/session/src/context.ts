// What a function is given besides its input.

import type { FunctionRef } from './functions.ts';
import type { Log } from './log.ts';

export interface CallOptions {
  /** Stops waiting and cancels the call. */
  signal?: AbortSignal | undefined;
}

/** Runs another function, by target or by the reference that its declaration returned. */
export interface Call {
  /**
   * Resolves with the output.
   * @throws ParleyError how the execution ended when it did not succeed; `unavailable` when the link was cut while it
   * ran (whether it ended is unknown); `cancelled` when the caller ended first.
   */
  <Input, Output>(target: FunctionRef<Input, Output>, input: Input, options?: CallOptions): Promise<Output>;
  <Output = unknown>(target: string, input?: unknown, options?: CallOptions): Promise<Output>;
}

/** One run of one function. */
export interface Context {
  readonly executionId: string;
  readonly workflowId: string;
  /** The session that it runs for, if any. */
  readonly sessionId: string | undefined;
  readonly parentExecutionId: string | undefined;
  /** Aborted by a cancellation, the timeout, or the stop of the agent; its reason is a ParleyError. */
  readonly signal: AbortSignal;
  /** Runs another function as a child of this execution. It is cancelled when this one is. */
  readonly call: Call;
  /** Leaves a note on the execution, for whoever looks at the workflow. */
  note(text: string, data?: unknown): void;
  readonly log: Log;
}
