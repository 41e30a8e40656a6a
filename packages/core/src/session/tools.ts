// Tool calls of the live model: judged here, run elsewhere, answered once (P1, P2).

import type { EventOf, EventRecord } from '../contract/events.ts';
import { LIMITS, TIMES } from '../contract/names.ts';
import type { ErrorCode, ErrorObject } from '../errors.ts';
import { ERROR_CODES } from '../errors.ts';
import { inputProblem } from '../tool-input.ts';
import type { Effect } from './effects.ts';
import { flush } from './responses.ts';
import { ANSWERED_MAX, type SessionState, TOOL_CALLS_IN_FLIGHT_DEFAULT } from './state.ts';

export function called(state: SessionState, entry: EventRecord<EventOf<'tool.called'>>): Effect[] {
  const { call_id, name } = entry;
  if (Object.hasOwn(state.calls, call_id) || state.answered.includes(call_id)) return [];
  state.tool_calls += 1;
  const verdict = judge(state, entry);
  if ('code' in verdict) return [{ kind: 'record', event: { type: 'tool.rejected', call_id, name, error: verdict } }];
  // The call is remembered before it is dispatched, so that a repeat of it is known.
  state.calls = {
    ...state.calls,
    [call_id]: {
      name,
      execution_id: entry.execution_id,
      source: entry.source,
      response_id: entry.response_id ?? null,
      on_interrupt: verdict.on_interrupt,
      started_at_ms: entry.at_ms,
    },
  };
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
  const tool = state.enabled_tools.includes(entry.name)
    ? state.tools.find((one) => one.name === entry.name)
    : undefined;
  if (!tool) {
    const allowed = state.enabled_tools.join(', ') || 'none';
    return refusal(
      'permission_denied',
      `tool '${entry.name}' is not in this session's allowlist. Allowed tools: ${allowed}.`,
    );
  }
  const limit = state.declaration?.limits.max_tool_calls_in_flight ?? TOOL_CALLS_IN_FLIGHT_DEFAULT;
  const running = Object.keys(state.calls).length;
  if (running >= limit) {
    return {
      ...refusal('resource_exhausted', `the session is at its limit of ${limit} tool calls in flight`),
      details: { limit, current: running },
    };
  }
  if (entry.arguments.length > LIMITS.payload_bytes_max) {
    return refusal('resource_exhausted', `tool arguments may have at most ${LIMITS.payload_bytes_max} bytes`);
  }
  let input: unknown;
  try {
    // Models send nothing at all for a tool without parameters.
    input = entry.arguments.trim() === '' ? {} : JSON.parse(entry.arguments);
  } catch (error) {
    return refusal(
      'invalid_argument',
      `the arguments of tool '${entry.name}' are not JSON: ${(error as Error).message}`,
    );
  }
  const problem = inputProblem(tool.input_schema, input);
  if (problem !== null)
    return refusal('invalid_argument', `the arguments of tool '${entry.name}' do not fit its schema: ${problem}`);
  return { target: tool.target, input, on_interrupt: tool.on_interrupt ?? 'finish' };
}

function refusal(code: ErrorCode, message: string): ErrorObject {
  return { code, message, retryable: ERROR_CODES[code].retryable };
}

export function dispatched(state: SessionState, entry: EventRecord<EventOf<'tool.dispatched'>>): Effect[] {
  const tool = state.tools.find((one) => one.name === entry.name);
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
  remember(state, entry.call_id);
  return answer(state, entry.call_id, { error: entry.error }, entry.at_ms);
}

export function completed(state: SessionState, entry: EventRecord<EventOf<'tool.completed'>>): Effect[] {
  const call = state.calls[entry.call_id];
  if (!call) return [];
  const { [entry.call_id]: _, ...rest } = state.calls;
  state.calls = rest;
  remember(state, entry.call_id);
  if (call.source === 'client') return flush(state, entry.at_ms);
  const output =
    entry.status === 'succeeded'
      ? (entry.output ?? null)
      : { error: entry.error ?? { code: 'unknown', message: `the call ended as ${entry.status}`, retryable: false } };
  return answer(state, entry.call_id, output, entry.at_ms);
}

function answer(state: SessionState, call_id: string, output: unknown, at_ms: number): Effect[] {
  if (state.phase !== 'live') return [];
  state.respond_wanted = true;
  return [
    { kind: 'provider.send', command: { type: 'tool_output', call_id, output: JSON.stringify(output) } },
    { kind: 'record', event: { type: 'tool.answered', call_id } },
    ...flush(state, at_ms),
  ];
}

function remember(state: SessionState, call_id: string): void {
  state.answered = [...state.answered.slice(-(ANSWERED_MAX - 1)), call_id];
}
