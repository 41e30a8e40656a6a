// What follows from a guardrail that said no to words of either side.

import { ParleyError } from '@parley/core';
import { feedback } from '../guard/guardrail.ts';
import { InputGuard, type InputTrip } from '../guard/input-guard.ts';
import type { OutputTrip } from '../guard/output-watch.ts';
import { contextOf, type Parts, quiet } from './parts.ts';

export class Trips {
  readonly #parts: Parts;
  readonly #input: InputGuard;
  readonly #say: (words: string) => Promise<unknown>;

  /** @param say has the model speak. */
  constructor(parts: Parts, say: (words: string) => Promise<unknown>) {
    this.#parts = parts;
    this.#say = say;
    this.#input = new InputGuard({
      guardrails: parts.config.inputGuardrails ?? [],
      context: (agent) => contextOf(parts, agent),
      failed: (error) => parts.hub.emit({ type: 'error', error, source: 'guardrail' }),
    });
  }

  /** Whether anybody judges what the user says. */
  watchesInput(): boolean {
    return this.#input.watches(this.#parts.roster.current.agent);
  }

  /** @throws ParleyError `permission_denied` for a text that must not be sent. */
  async text(words: string): Promise<void> {
    const trip = await this.#input.judge(this.#parts.roster.current.agent, words, 'text');
    if (!trip) return;
    this.#tell(trip, words, false);
    this.#answer(trip.guardrail.say, trip.reply);
    const { name } = trip.guardrail;
    throw new ParleyError('permission_denied', `guardrail '${name}' refused the message`, {
      details: { guardrail: name },
    });
  }

  /** The user's speech was written down. The model may be answering it. */
  speech(itemId: string, words: string): void {
    if (words === '' || !this.watchesInput()) return;
    const before = this.#answering();
    this.#input.judge(this.#parts.roster.current.agent, words, 'audio').then(
      (trip) => {
        if (!trip || this.#parts.closing) return;
        const now = this.#answering();
        const stale = before !== undefined && now !== before;
        this.#tell(trip, words, stale, itemId);
        if (this.#parts.closing || stale) return;
        this.#interrupt(now);
        const gone = { type: 'conversation.item.delete', item_id: itemId };
        void quiet(this.#parts.inputs.frame(gone, `deleted:${itemId}`));
        this.#answer(trip.guardrail.say, trip.reply);
      },
      (error: unknown) => this.#parts.hub.emit({ type: 'error', error: ParleyError.from(error), source: 'guardrail' }),
    );
  }

  /** The model said what it must not. Only its own answer is cut, whatever goes on now. */
  output({ guardrail, agent, responseId, itemId, text, outputInfo }: OutputTrip): void {
    const parts = this.#parts;
    if (parts.closing) return;
    const { response, creating, playing } = parts.machine.state;
    const generating = response?.response_id === responseId;
    const stale = !generating && (response !== null || creating !== null);
    parts.hub.emit({
      type: 'guardrail_tripped',
      kind: 'output',
      guardrail: guardrail.name,
      agent: agent.name,
      text,
      responseId,
      stale,
      ...(itemId === undefined ? {} : { itemId }),
      ...(outputInfo === undefined ? {} : { outputInfo }),
    });
    if (parts.closing) return;
    if (generating || (!stale && playing?.response_id === responseId)) this.#interrupt(responseId);
    else parts.cuts.cut(responseId);
    if (!stale && guardrail.silent !== true) this.#answer(guardrail.say, feedback(guardrail, outputInfo));
  }

  #interrupt(responseId: string | undefined): void {
    const { cuts, machine, playback } = this.#parts;
    if (responseId !== undefined && machine.state.response?.response_id === responseId) cuts.silence(responseId);
    const played_ms = responseId === undefined ? 0 : playback.heardMs(responseId);
    machine.append({ type: 'interruption.requested', played_ms, by: 'handler' });
    cuts.cut(responseId);
  }

  #answering(): string | undefined {
    const { response, playing } = this.#parts.machine.state;
    return response?.response_id ?? playing?.response_id;
  }

  #tell({ guardrail, outputInfo }: InputTrip, text: string, stale: boolean, itemId?: string): void {
    this.#parts.hub.emit({
      type: 'guardrail_tripped',
      kind: 'input',
      guardrail: guardrail.name,
      agent: this.#parts.roster.current.agent.name,
      text,
      stale,
      ...(itemId === undefined ? {} : { itemId }),
      ...(outputInfo === undefined ? {} : { outputInfo }),
    });
  }

  #answer(say: string | undefined, reply: string | undefined): void {
    if (say !== undefined) void this.#say(say);
    else if (reply !== undefined) {
      void quiet(this.#parts.inputs.content([{ type: 'input_text', text: reply }], true));
    }
  }
}
