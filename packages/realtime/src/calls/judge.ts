// The verdict of a tool's guardrails: all are asked, and the first in their order that says no is the one that counts.

import type { RunContext } from '../context.ts';
import type { ToolGuardrailOutput } from '../guard/tool-guardrail.ts';
import type { RealtimeTool } from '../tool.ts';
import type { Call } from './call.ts';

export type Verdict =
  | { behavior: 'allow' }
  | { behavior: 'reject'; guardrail: string; message: string; outputInfo?: unknown }
  | { behavior: 'throw'; guardrail: string; outputInfo?: unknown };

const ALLOW: Verdict = { behavior: 'allow' };

export async function inputVerdict(
  call: Call,
  tool: RealtimeTool,
  context: RunContext,
  input: unknown,
): Promise<Verdict> {
  const data = { context, agent: call.agent, toolCall: toolCall(call, input) };
  const guardrails = tool.internal.inputGuardrails;
  return first(guardrails, await Promise.all(guardrails.map(async (one) => one.run(data))));
}

export async function outputVerdict(
  call: Call,
  tool: RealtimeTool,
  context: RunContext,
  input: unknown,
  output: unknown,
): Promise<Verdict> {
  const data = { context, agent: call.agent, toolCall: toolCall(call, input), output };
  const guardrails = tool.internal.outputGuardrails;
  return first(guardrails, await Promise.all(guardrails.map(async (one) => one.run(data))));
}

function toolCall({ callId, name, arguments: args }: Call, input: unknown) {
  return { callId, name, arguments: args, input };
}

function first(guardrails: readonly { name: string }[], results: readonly ToolGuardrailOutput[]): Verdict {
  for (const [at, { behavior, outputInfo }] of results.entries()) {
    const guardrail = guardrails[at]?.name ?? '';
    const info = outputInfo === undefined ? {} : { outputInfo };
    if (behavior.type === 'rejectContent') return { behavior: 'reject', guardrail, message: behavior.message, ...info };
    if (behavior.type === 'throwException') return { behavior: 'throw', guardrail, ...info };
  }
  return ALLOW;
}
