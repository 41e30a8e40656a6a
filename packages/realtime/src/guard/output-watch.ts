// Looks at what the model says while it says it, and always at the end.
//
// G1  One trip for an answer; after it nothing more of that answer is judged.
// G2  The words are those of the agent that was speaking when the answer began.
// G3  A guardrail that throws judged nothing: that is told as an error, and the others count.

import { ParleyError } from '@parley/core';
import type { RealtimeAgent } from '../agent.ts';
import type { RunContext } from '../context.ts';
import type { RealtimeOutputGuardrail } from './guardrail.ts';

export interface OutputTrip {
  guardrail: RealtimeOutputGuardrail;
  agent: RealtimeAgent;
  responseId: string;
  itemId: string | undefined;
  text: string;
  outputInfo: unknown;
}

interface Watched {
  agent: RealtimeAgent;
  guardrails: readonly RealtimeOutputGuardrail[];
  text: string;
  itemId: string | undefined;
  /** Length at the last look. */
  looked: number;
  tripped: boolean;
}

export interface OutputWatchOptions {
  guardrails: readonly RealtimeOutputGuardrail[];
  debounceTextLength: number;
  context(agent: RealtimeAgent): RunContext;
  tripped(trip: OutputTrip): void;
  failed(error: ParleyError): void;
}

const ANSWERS_MAX = 16;

export class OutputWatch {
  readonly #options: OutputWatchOptions;
  readonly #answers = new Map<string, Watched>();

  constructor(options: OutputWatchOptions) {
    this.#options = options;
  }

  begin(responseId: string, agent: RealtimeAgent): void {
    if (this.#answers.has(responseId)) return;
    // One guardrail may stand in both lists, and judges once.
    const guardrails = [...new Set([...this.#options.guardrails, ...agent.outputGuardrails])];
    if (guardrails.length === 0) return;
    if (this.#answers.size >= ANSWERS_MAX) {
      for (const oldest of this.#answers.keys()) if (this.#answers.delete(oldest)) break;
    }
    this.#answers.set(responseId, { agent, guardrails, text: '', itemId: undefined, looked: 0, tripped: false });
  }

  grow(responseId: string | undefined, itemId: string, delta: string): void {
    const watched = responseId === undefined ? undefined : this.#answers.get(responseId);
    if (!watched || responseId === undefined || watched.tripped) return;
    watched.text += delta;
    watched.itemId = itemId;
    const { debounceTextLength: step } = this.#options;
    if (step < 0 || watched.text.length < watched.looked + Math.max(1, step)) return;
    // From one threshold to the next: a long fragment is looked at once.
    watched.looked = step === 0 ? watched.text.length : watched.text.length - (watched.text.length % step);
    this.#look(responseId, watched, false);
  }

  /** The answer is over. `text` is what it said in the end, which may be more than came in fragments. */
  end(responseId: string, text: string): void {
    const watched = this.#answers.get(responseId);
    if (!watched) return;
    if (text !== '') watched.text = text;
    if (!watched.tripped && watched.text !== '') this.#look(responseId, watched, true);
    this.#answers.delete(responseId);
  }

  clear(): void {
    this.#answers.clear();
  }

  #look(responseId: string, watched: Watched, final: boolean): void {
    const { agent, text } = watched;
    const context = this.#options.context(agent);
    for (const guardrail of watched.guardrails) {
      const judged = (async () => guardrail.execute({ agent, agentOutput: text, context, final }))();
      judged.then(
        ({ tripwireTriggered, outputInfo }) => {
          if (!tripwireTriggered || watched.tripped) return;
          watched.tripped = true;
          this.#options.tripped({ guardrail, agent, responseId, itemId: watched.itemId, text, outputInfo });
        },
        (error: unknown) => {
          this.#options.failed(
            new ParleyError('internal', `guardrail '${guardrail.name}' threw: ${ParleyError.from(error).message}`, {
              cause: error,
            }),
          );
        },
      );
    }
  }
}
