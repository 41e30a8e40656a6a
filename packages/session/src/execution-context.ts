// What a function is given that runs for a control plane: who called it, and how it reaches others.

import { type AgentFrame, ParleyError } from '@parley/core';
import type { Call, CallOptions, Context } from './context.ts';
import type { Execution, Executions } from './executions.ts';
import type { FunctionRef } from './functions.ts';
import { payloadText } from './json.ts';
import { type Log, withFields } from './log.ts';
import type { Outbox } from './outbox.ts';
import { callFrame } from './realtime-session.ts';
import type { Requests } from './requests.ts';

export interface ContextParts {
  /** The name of the agent that it belongs to. */
  agent: string;
  outbox: Outbox;
  requests: Requests;
  executions: Executions;
  log: Log;
}

const NOTE_CHARS_MAX = 4096;

export function contextOf(execution: Execution, parts: ContextParts): Context {
  const { dispatch, over, abort } = execution;
  const { execution_id } = dispatch;
  const { agent, outbox, requests, executions } = parts;
  const log = withFields(parts.log, { execution_id, function: dispatch.function });
  const call = async (target: string | FunctionRef, input?: unknown, options: CallOptions = {}): Promise<unknown> =>
    executions.waitingFor(
      execution,
      requests.send(
        { ...callFrame(agent, target, input), parent_execution_id: execution_id },
        { over, signal: options.signal ? AbortSignal.any([abort.signal, options.signal]) : abort.signal },
      ),
    );
  return {
    executionId: execution_id,
    workflowId: dispatch.workflow_id,
    sessionId: dispatch.session_id,
    parentExecutionId: dispatch.parent_execution_id,
    signal: abort.signal,
    // One function answers both signatures of Call: a reference is a target with types.
    call: call as Call,
    note: (text, data) => {
      payloadText(data, 'the data of a note', 'invalid_argument');
      const note: AgentFrame = { type: 'execution.note', execution_id, text: text.slice(0, NOTE_CHARS_MAX) };
      try {
        outbox.post(data === undefined ? note : { ...note, data }, over);
      } catch (error) {
        // A note is not worth the execution that it is about.
        log.warn('a note was lost', { message: ParleyError.from(error).message });
      }
    },
    log,
  };
}
