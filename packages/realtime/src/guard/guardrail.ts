// Guardrails on words: what the model says, and what the user says.

import type { RealtimeAgent } from '../agent.ts';
import type { MaybePromise, RunContext } from '../context.ts';

export interface GuardrailResult {
  tripwireTriggered: boolean;
  /** Told in the event, and to the model with the policy hint. */
  outputInfo?: unknown;
}

/** What happens after a guardrail of words was tripped and the answer was cut. */
export interface GuardrailEnding {
  /** Spoken by the model word for word. */
  say?: string | undefined;
  /** Told to the model, which answers it in its own words. Ignored where there is `say`. */
  policyHint?: string | undefined;
  /** Nothing is said. */
  silent?: boolean | undefined;
}

/** Judges what the model says, while it grows and always at its end. */
export interface RealtimeOutputGuardrail<C = unknown> extends GuardrailEnding {
  readonly name: string;
  /** @param args.agentOutput all words of the answer so far. */
  execute(args: {
    agent: RealtimeAgent<C>;
    agentOutput: string;
    context: RunContext<C>;
    /** Whether these are all words of the answer. */
    final: boolean;
  }): MaybePromise<GuardrailResult>;
}

/** Judges what the user says: a text before it is sent, speech as soon as it is written down. */
export interface RealtimeInputGuardrail<C = unknown> extends GuardrailEnding {
  readonly name: string;
  execute(args: {
    agent: RealtimeAgent<C>;
    input: string;
    source: 'text' | 'audio';
    context: RunContext<C>;
  }): MaybePromise<GuardrailResult>;
}

/** What the model is told when it said what it must not. */
export function feedback(guardrail: GuardrailEnding & { name: string }, outputInfo: unknown): string {
  const why = guardrail.policyHint ?? describe(outputInfo);
  const reason = why === '' ? '' : ` It says: ${why}`;
  return `Your last answer was stopped by the policy "${guardrail.name}".${reason} Apologize in one sentence, and continue within that policy.`;
}

/** What the model is told when the user said what it must not answer. */
export function inputFeedback(guardrail: GuardrailEnding & { name: string }, outputInfo: unknown): string {
  const why = guardrail.policyHint ?? describe(outputInfo);
  const reason = why === '' ? '' : ` It says: ${why}`;
  return `The user's last message is against the policy "${guardrail.name}".${reason} Say in one sentence that you cannot help with it.`;
}

function describe(outputInfo: unknown): string {
  if (outputInfo === undefined || outputInfo === null) return '';
  if (typeof outputInfo === 'string') return outputInfo;
  try {
    return JSON.stringify(outputInfo) ?? '';
  } catch {
    // A cycle, a BigInt: the name of the guardrail has to do.
    return '';
  }
}
