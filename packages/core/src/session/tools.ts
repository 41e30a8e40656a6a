// Tool calls of the live model: judged here, run elsewhere, answered once (P1, P2).

import type { EventOf, EventRecord, ResolvedTool } from '../contract/events.ts';
import type { ModelCommand } from '../contract/model.ts';
import { LIMITS, TIMES } from '../contract/names.ts';
import type { ErrorCode, ErrorObject } from '../errors.ts';
import { ERROR_CODES } from '../errors.ts';
import { inputProblem } from '../tool-input.ts';
import type { Effect } from './effects.ts';
import { flush } from './responses.ts';
import type { RunningCall, SessionState } from './state.ts';

export function called(state: SessionState, entry: EventRecord<EventOf<'tool.called'>>): Effect[] {
  const { call_id, name } = entry;
  if (Object.hasOwn(state.calls, call_id) || state.answered.includes(call_id)) return [];
  state.tool_calls += 1;
  const verdict = judge(state, entry);
  const rejected = 'code' in verdict;
  // The call is remembered before it is judged in the log, so that a repeat of it is known, and who has to be answered.
  state.calls = {
    ...state.calls,
    [call_id]: {
      name,
      execution_id: entry.execution_id,
      source: entry.source,
      response_id: entry.response_id ?? null,
      on_interrupt: rejected ? 'finish' : verdict.on_interrupt,
      started_at_ms: entry.at_ms,
    },
  };
  if (rejected) return [{ kind: 'record', event: { type: 'tool.rejected', call_id, name, error: verdict } }];
  return [
    {
      kind: 'record',
      event: {
        type: 'tool.dispatched',
        call_id,
        name,
        target: verdict.target,
        execution_id: entry.execution_id,
        input: verdict.input,
      },
    },
  ];
}

type Verdict = ErrorObject | { target: string; input: unknown; on_interrupt: 'finish' | 'cancel' };

function judge(state: SessionState, entry: EventRecord<EventOf<'tool.called'>>): Verdict {
  if (state.phase === 'closing') return refusal('aborted', 'the session is ending');
  const tool = toolOf(state, entry.name, entry.response_id);
  if (!tool) {
    const names = begunWith(state, entry.response_id)?.map(({ name }) => name) ?? state.enabled_tools;
    const allowed = names.join(', ') || 'none';
    return refusal(
      'permission_denied',
      `tool '${entry.name}' is not in this session's allowlist. Allowed tools: ${allowed}.`,
    );
  }
  const limit = state.declaration?.limits.max_tool_calls_in_flight ?? LIMITS.tool_calls_in_flight;
  const running = Object.keys(state.calls).length;
  if (running >= limit) {
    return {
      ...refusal('resource_exhausted', `the session is at its limit of ${limit} tool calls in flight`),
      details: { limit, current: running },
    };
  }
  if (bytesOf(entry.arguments) > LIMITS.payload_bytes_max) {
    return refusal('resource_exhausted', `tool arguments may have at most ${LIMITS.payload_bytes_max} bytes`);
  }
  let input: unknown;
  try {
    // Models send nothing at all for a tool without parameters.
    input = /^[\t\n\r ]*$/.test(entry.arguments) ? {} : JSON.parse(entry.arguments);
  } catch {
    // Not in the words of the engine: a replay on another one has to say the same.
    return refusal('invalid_argument', `the arguments of tool '${entry.name}' are not JSON`);
  }
  const problem = inputProblem(tool.input_schema, input);
  if (problem !== null)
    return refusal('invalid_argument', `the arguments of tool '${entry.name}' do not fit its schema: ${problem}`);
  return { target: tool.target, input, on_interrupt: tool.on_interrupt ?? 'finish' };
}

/** The tools of an answer that began before others took their place. */
function begunWith(state: SessionState, response_id: string | null | undefined): readonly ResolvedTool[] | undefined {
  return state.response?.response_id === response_id ? state.response?.tools : undefined;
}

/** What the model may call under this name; in an answer that keeps the tools of before, what it was then. */
function toolOf(state: SessionState, name: string, response_id: string | null | undefined): ResolvedTool | undefined {
  const before = begunWith(state, response_id);
  if (before) return before.find((tool) => tool.name === name);
  return state.enabled_tools.includes(name) ? state.tools.find((tool) => tool.name === name) : undefined;
}

function refusal(code: ErrorCode, message: string): ErrorObject {
  return { code, message, retryable: ERROR_CODES[code].retryable };
}

export function dispatched(state: SessionState, entry: EventRecord<EventOf<'tool.dispatched'>>): Effect[] {
  const call = Object.hasOwn(state.calls, entry.call_id) ? state.calls[entry.call_id] : undefined;
  const tool = toolOf(state, entry.name, call?.response_id) ?? state.tools.find((one) => one.name === entry.name);
  return [
    {
      kind: 'execution.dispatch',
      call_id: entry.call_id,
      execution_id: entry.execution_id,
      target: entry.target,
      input: entry.input,
      timeout_ms: tool?.timeout_ms ?? TIMES.execution_timeout_ms,
    },
  ];
}

export function rejected(state: SessionState, entry: EventRecord<EventOf<'tool.rejected'>>): Effect[] {
  const call = settle(state, entry.call_id);
  if (!call) return [];
  return call.source !== 'model' ? flush(state) : answer(state, entry.call_id, { error: entry.error });
}

export function completed(state: SessionState, entry: EventRecord<EventOf<'tool.completed'>>): Effect[] {
  const call = settle(state, entry.call_id);
  if (!call) return [];
  if (call.source !== 'model') return flush(state);
  const output =
    entry.status === 'succeeded'
      ? (entry.output ?? null)
      : { error: entry.error ?? { code: 'unknown', message: `the call ended as ${entry.status}`, retryable: false } };
  return answer(state, entry.call_id, output, entry.respond !== false);
}

function answer(state: SessionState, call_id: string, output: unknown, respond = true): Effect[] {
  if (state.phase !== 'live' && state.phase !== 'starting') return [];
  if (respond) state.respond_wanted = true;
  const command: ModelCommand = { type: 'tool_output', call_id, output: JSON.stringify(output) };
  if (state.phase === 'starting') {
    // One connection is gone and the next is not there: it is told then. There are no more of these than calls in flight.
    state.waiting_commands = [...state.waiting_commands, command];
    return [];
  }
  return [
    { kind: 'provider.send', command },
    { kind: 'record', event: { type: 'tool.answered', call_id } },
    ...flush(state),
  ];
}

/** The call ends, once: a second end of it, or of one that never was, finds nothing (P1). */
function settle(state: SessionState, call_id: string): RunningCall | undefined {
  if (!Object.hasOwn(state.calls, call_id)) return undefined;
  const { [call_id]: call, ...rest } = state.calls;
  state.calls = rest;
  state.answered = [...state.answered.slice(-(LIMITS.answered_calls_max - 1)), call_id];
  return call;
}

function bytesOf(text: string): number {
  // A UTF-16 unit is at most three bytes: only near the bound is it worth counting.
  return text.length * 3 <= LIMITS.payload_bytes_max ? text.length : new TextEncoder().encode(text).length;
}
