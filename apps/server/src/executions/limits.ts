// Sizes and times of the executions, each with a default.

import { LIMITS, TIMES } from '@parley/core';

export interface ExecutionLimits {
  /** Executions that are queued or running at once. */
  unfinished_max: number;
  /** Bytes of the inputs of all of them. */
  input_bytes_max: number;
  /** Input or output of one execution, as JSON. */
  payload_bytes_max: number;
  /** Callers that wait for ends at once, and listeners to executions at once. */
  waiters_max: number;
  listeners_max: number;
  /** Notes on one execution. */
  notes_max: number;
  /** Steps from the root of a workflow: a function that calls itself ends here. */
  depth_max: number;
  /** From admission to end, when neither the request nor the function says. */
  timeout_ms: number;
  /** After a start, how long executions that were given out wait for their agents. */
  recovery_ms: number;
  /** Pause before an end that could not be written is tried again. */
  retry_ms: number;
  /** Nodes of a workflow that are shown. */
  workflow_nodes_max: number;
}

export const EXECUTION_LIMITS: ExecutionLimits = {
  unfinished_max: 50_000,
  input_bytes_max: 256 * 1024 * 1024,
  payload_bytes_max: LIMITS.payload_bytes_max,
  waiters_max: 20_000,
  listeners_max: 10_000,
  notes_max: 1000,
  depth_max: 64,
  timeout_ms: TIMES.execution_timeout_ms,
  recovery_ms: TIMES.agent_resume_ms,
  retry_ms: 1000,
  workflow_nodes_max: 10_000,
};
