// Guardrails around one tool: on what it is given, and on what it answers.

import type { RealtimeAgent } from '../agent.ts';
import type { MaybePromise, RunContext } from '../context.ts';

/**
 * What a guardrail of a tool decides. `rejectContent` gives the model `message` in place of the result;
 * `throwException` fails the call, and the model is told no more than that.
 */
export type ToolGuardrailBehavior =
  | { type: 'allow' }
  | { type: 'rejectContent'; message: string }
  | { type: 'throwException' };

export interface ToolGuardrailOutput {
  behavior: ToolGuardrailBehavior;
  outputInfo?: unknown;
}

export interface ToolInputGuardrailData<C = unknown> {
  context: RunContext<C>;
  agent: RealtimeAgent<C>;
  toolCall: { callId: string; name: string; arguments: string; input: unknown };
}

export interface ToolOutputGuardrailData<C = unknown> extends ToolInputGuardrailData<C> {
  output: unknown;
}

// Methods, so that a guardrail for any context fits a tool of a special one.
export interface ToolInputGuardrail<C = unknown> {
  readonly type: 'tool_input';
  readonly name: string;
  run(data: ToolInputGuardrailData<C>): MaybePromise<ToolGuardrailOutput>;
}

export interface ToolOutputGuardrail<C = unknown> {
  readonly type: 'tool_output';
  readonly name: string;
  run(data: ToolOutputGuardrailData<C>): MaybePromise<ToolGuardrailOutput>;
}

/**
 * A guardrail that sees what a tool would be given, before an approval and again right before the run.
 *
 * @example
 * const noCards = defineToolInputGuardrail({
 *   name: 'no card numbers',
 *   run: ({ toolCall }) => ({
 *     behavior: /\d{16}/.test(toolCall.arguments) ? { type: 'rejectContent', message: 'Ask without the card number.' } : { type: 'allow' },
 *   }),
 * });
 */
export function defineToolInputGuardrail<C = unknown>(
  options: Omit<ToolInputGuardrail<C>, 'type'>,
): ToolInputGuardrail<C> {
  return { type: 'tool_input', name: options.name, run: (data) => options.run(data) };
}

/** A guardrail that sees what a tool returned, before the model does. */
export function defineToolOutputGuardrail<C = unknown>(
  options: Omit<ToolOutputGuardrail<C>, 'type'>,
): ToolOutputGuardrail<C> {
  return { type: 'tool_output', name: options.name, run: (data) => options.run(data) };
}
