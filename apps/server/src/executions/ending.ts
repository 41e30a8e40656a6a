// How executions end, in the words of the resource.

import {
  type AgentFrameOf,
  type ErrorCode,
  type ErrorObject,
  type ExecutionResource,
  type ExecutionStatus,
  ParleyError,
} from '@parley/core';

export interface Ending {
  status: Exclude<ExecutionStatus, 'queued' | 'running'>;
  reason?: string | undefined;
  output?: unknown;
  error?: ErrorObject | undefined;
}

function ending(status: Ending['status'], reason: string, code: ErrorCode, message: string): Ending {
  return { status, reason, error: new ParleyError(code, message).toObject() };
}

export const ENDINGS = {
  cancelled: (reason: string) => ending('cancelled', reason, 'cancelled', `the execution was cancelled: ${reason}`),
  timedOut: () => ending('timed_out', 'timeout', 'deadline_exceeded', 'the execution did not end within its timeout'),
  agentLost: (agent: string, accepted: boolean) => {
    const how = accepted ? 'that ran it' : 'that it was given to';
    return ending('unknown', 'agent_lost', 'unavailable', `the instance of agent ${agent} ${how} did not come back`);
  },
  agentRestarted: (agent: string) =>
    ending('unknown', 'agent_restarted', 'unavailable', `the agent ${agent} came back and knows nothing of it`),
  serverRestarted: (agent: string) =>
    ending(
      'unknown',
      'server_restarted',
      'unavailable',
      `the server restarted, and no instance of agent ${agent} came back with it`,
    ),
} as const;

/** What an agent says of an end, brought to its form: an end that is not a success has an error. */
export function endingOf(
  frame: AgentFrameOf<'execution.result'>,
  frame_bytes: number,
  payload_bytes_max: number,
): Ending {
  if (frame.status === 'succeeded') {
    const output = frame.output ?? null;
    // An output cannot be larger than its frame: only one of a large frame is measured.
    if (frame_bytes > payload_bytes_max) {
      const bytes = Buffer.byteLength(JSON.stringify(output));
      if (bytes > payload_bytes_max) {
        const message = `the output may have at most ${payload_bytes_max} bytes as JSON, got ${bytes}`;
        const error = new ParleyError('resource_exhausted', message, { retryable: false });
        return { status: 'failed', reason: 'output_too_large', error: error.toObject() };
      }
    }
    return { status: 'succeeded', output };
  }
  if (frame.error) return { status: frame.status, error: frame.error };
  const code = { failed: 'unknown', cancelled: 'cancelled', timed_out: 'deadline_exceeded' } as const;
  const error = new ParleyError(code[frame.status], `the agent ended it as ${frame.status} and did not say why`);
  return { status: frame.status, error: error.toObject() };
}

/** The resource with its end. */
export function endedResource(execution: ExecutionResource, end: Ending, at_ms: number): ExecutionResource {
  const { reason: _, ...rest } = execution;
  const started_at_ms = rest.started_at_ms;
  const ended: ExecutionResource = { ...rest, status: end.status, finished_at_ms: at_ms };
  ended.duration_ms = Math.max(0, at_ms - (started_at_ms ?? rest.created_at_ms));
  if (end.reason !== undefined) ended.reason = end.reason;
  if (end.output !== undefined) ended.output = end.output;
  if (end.error !== undefined) ended.error = end.error;
  return ended;
}
