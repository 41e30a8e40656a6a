// Looks at what the user says before, or as soon as, the model can answer it.

import { ParleyError } from '@parley/core';
import type { RealtimeAgent } from '../agent.ts';
import type { RunContext } from '../context.ts';
import { inputFeedback, type RealtimeInputGuardrail } from './guardrail.ts';

export interface InputTrip {
  guardrail: RealtimeInputGuardrail;
  outputInfo: unknown;
  /** What the model is told, where the guardrail has something to tell. */
  reply: string | undefined;
}

export interface InputGuardOptions {
  guardrails: readonly RealtimeInputGuardrail[];
  context(agent: RealtimeAgent): RunContext;
  failed(error: ParleyError): void;
}

export class InputGuard {
  readonly #options: InputGuardOptions;

  constructor(options: InputGuardOptions) {
    this.#options = options;
  }

  watches(agent: RealtimeAgent): boolean {
    return this.#options.guardrails.length > 0 || agent.inputGuardrails.length > 0;
  }

  /** The first guardrail, in their order, that says no. One that throws says nothing, and that is told. */
  async judge(agent: RealtimeAgent, input: string, source: 'text' | 'audio'): Promise<InputTrip | null> {
    const guardrails = [...new Set([...this.#options.guardrails, ...agent.inputGuardrails])];
    const context = this.#options.context(agent);
    const results = await Promise.allSettled(
      guardrails.map(async (one) => one.execute({ agent, input, source, context })),
    );
    for (const [at, result] of results.entries()) {
      const guardrail = guardrails[at] as RealtimeInputGuardrail;
      if (result.status === 'rejected') {
        const { message } = ParleyError.from(result.reason);
        this.#options.failed(
          new ParleyError('internal', `guardrail '${guardrail.name}' threw: ${message}`, { cause: result.reason }),
        );
      } else if (result.value.tripwireTriggered) {
        const { outputInfo } = result.value;
        const told = guardrail.silent !== true && guardrail.policyHint !== undefined;
        return { guardrail, outputInfo, reply: told ? inputFeedback(guardrail, outputInfo) : undefined };
      }
    }
    return null;
  }
}
