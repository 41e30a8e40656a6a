import { newId, randomSuffix } from '@parley/core';
import type { Clock, ClockTimer } from '../clock.ts';
import type { Output } from '../model.ts';
import { PLAYBACK_TRANSCRIPT } from '../model.ts';
import type { Item, ServerEvent, Wire } from '../wire.ts';
import type { Utterance } from '../voice.ts';
import type { Entry } from './conversation.ts';
import { obfuscation, wordsOf } from './delta.ts';
import { MessagePart, type PartSound } from './message-part.ts';
import type { ResponseSettings } from './response-params.ts';
import { add, NO_TOKENS, responseUsage, textTokens, type Tokens } from './usage.ts';

// One response from `response.created` to `response.done`.
//
// P1 Exactly one response.done, and it comes last.
// P2 The deltas of a part add up to its done event, to the item and to what stands in response.done, also when it is
//    cut short.
// P3 One timer at a time, however long the answer is.

export type EndStatus = 'completed' | 'cancelled' | 'failed' | 'incomplete';

/** What a response needs of its session. */
export interface ResponseHost {
  clock: Clock;
  conversationId: string;
  /** Times faster than real time. */
  pace: number;
  ready(): boolean;
  send(event: ServerEvent): void;
  /** Sends a piece of sound, in base64. */
  sendAudio(part: PartSound, delta: string): void;
  /** Decides what to say and to call. Null: the response was ended on the way. */
  plan(response: Response): Promise<Output[] | null>;
  speak(output: Output & { kind: 'say' | 'playback' }, response: Response): Promise<Utterance>;
  /** Puts an item into the conversation; returns the id before it. */
  insert(entry: Entry): string | null;
  /** The id that stands before an item now. */
  before(entry: Entry): string | null;
  change(entry: Entry, change: () => void): void;
  inputTokens(response: Response): { now: Tokens; before: Tokens };
  ended(response: Response): void;
}

/** Milliseconds that one word of text takes before pacing. */
const TEXT_WORD_MS = 60;
/** How often a slow reader is looked at again. */
const READY_POLL_MS = 25;
const ARGUMENT_DELTA_LENGTH = 24;

export class Response {
  readonly id = `resp_${randomSuffix()}`;
  readonly settings: ResponseSettings;
  readonly #host: ResponseHost;
  readonly #abort = new AbortController();
  readonly #output: Item[] = [];
  #open: MessagePart | null = null;
  #tokens: Tokens = NO_TOKENS;
  #wake: { timer: ClockTimer; go: () => void } | null = null;
  /** When the sound of this response will have been played in real time (Unix ms). */
  playedAtMs = 0;
  #ended = false;

  constructor(settings: ResponseSettings, host: ResponseHost) {
    this.settings = settings;
    this.#host = host;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get outputTokens(): number {
    return this.#tokens.text + this.#tokens.audio;
  }

  /** What was said so far, one text for each message. */
  spokenTexts(): string[] {
    return this.#output.flatMap(({ content }) => (content ?? []).map((part) => part.transcript ?? part.text ?? ''));
  }

  /** Sends `response.created` and goes on until the end; it never rejects. */
  async run(): Promise<void> {
    this.#host.send({ type: 'response.created', response: this.#object('in_progress', null, null) });
    try {
      const outputs = await this.#host.plan(this);
      for (const output of outputs ?? []) {
        if (this.#ended) return;
        if (output.kind === 'call') this.#call(output);
        else await this.#message(output);
      }
      if (!this.#ended) this.#finish('completed', null);
    } catch (error) {
      if (this.#ended) return;
      this.fail('server_error', 'server_error', error instanceof Error ? error.message : String(error));
    }
  }

  /** Cuts the response; what was sent stays. */
  cancel(reason: 'turn_detected' | 'client_cancelled'): void {
    this.#finish('cancelled', { type: 'cancelled', reason });
  }

  fail(type: string, code: string, message: string): void {
    this.#finish('failed', { type: 'failed', error: { type, code, message } });
  }

  /** Ends without a word: the socket is gone. */
  drop(): void {
    this.#ended = true;
    this.#abort.abort();
    this.#wake?.timer.cancel();
    this.#wake?.go();
  }

  async #message(output: Output & { kind: 'say' | 'playback' }): Promise<void> {
    const text = output.kind === 'say' ? output.text : PLAYBACK_TRANSCRIPT;
    const audible = this.settings.modality === 'audio';
    const utterance = audible ? await this.#host.speak(output, this) : null;
    if (this.#ended) return;
    const part = new MessagePart(this.#host, this.id, this.#output.length, audible);
    this.#addItem(part.entry);
    this.#open = part;
    part.begin();
    const words = wordsOf(text);
    const steps = utterance ? utterance.deltas.length : words.length;
    const stepMs = utterance ? utterance.deltaMs : TEXT_WORD_MS;
    const startMs = this.#host.clock.now();
    let said = 0;
    for (let step = 0; step < steps; step++) {
      await this.#until(startMs + this.#paced(step * stepMs));
      if (this.#ended) return;
      const upTo = Math.ceil((words.length * (step + 1)) / steps);
      const delta = words.slice(said, upTo).join('');
      said = upTo;
      if (!this.#fits(part.tokens(delta, utterance ? stepMs : 0))) {
        return this.#finish('incomplete', { type: 'incomplete', reason: 'max_output_tokens' });
      }
      part.sendWords(delta);
      if (utterance) part.sendAudio(utterance, step);
      this.playedAtMs = startMs + part.sentMs;
    }
    this.#closeMessage('completed');
  }

  /** Whether max_output_tokens leaves room for a part of that size. */
  #fits({ text, audio }: Tokens): boolean {
    const max = this.settings.maxOutputTokens;
    return max === 'inf' || this.outputTokens + text + audio <= max;
  }

  #paced(ms: number): number {
    return this.#host.pace === Number.POSITIVE_INFINITY ? 0 : ms / this.#host.pace;
  }

  async #until(dueMs: number): Promise<void> {
    for (;;) {
      if (this.#ended) return;
      const left = dueMs - this.#host.clock.now();
      if (left > 0) await this.#sleep(left);
      else if (!this.#host.ready()) await this.#sleep(READY_POLL_MS);
      else return;
    }
  }

  /** Sleeps on the session's clock; the end of the response wakes it. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = { timer: this.#host.clock.after(ms, resolve), go: resolve };
    });
  }

  /** Waits that long, or until the response ends. */
  delay(ms: number): Promise<void> {
    return this.#ended ? Promise.resolve() : this.#sleep(ms);
  }

  #addItem(entry: Entry): number {
    const outputIndex = this.#output.length;
    this.#output.push(entry.item);
    this.#host.send({
      type: 'response.output_item.added',
      response_id: this.id,
      output_index: outputIndex,
      item: entry.item,
    });
    if (!this.settings.outOfBand) {
      const before = this.#host.insert(entry);
      this.#host.send({ type: 'conversation.item.added', previous_item_id: before, item: entry.item });
    }
    return outputIndex;
  }

  #closeMessage(status: 'completed' | 'incomplete'): void {
    const part = this.#open;
    if (!part) return;
    this.#open = null;
    this.#tokens = add(this.#tokens, part.tokens());
    part.end(status);
    this.#itemDone(part.entry, this.#output.indexOf(part.entry.item));
  }

  #itemDone(entry: Entry, outputIndex: number): void {
    if (!this.settings.outOfBand) {
      const before = this.#host.before(entry);
      this.#host.send({ type: 'conversation.item.done', previous_item_id: before, item: entry.item });
    }
    this.#host.send({
      type: 'response.output_item.done',
      response_id: this.id,
      output_index: outputIndex,
      item: entry.item,
    });
  }

  #call(output: Output & { kind: 'call' }): void {
    const item: Item = {
      id: newId('item'),
      object: 'realtime.item',
      type: 'function_call',
      status: 'in_progress',
      name: output.name,
      call_id: output.callId,
      arguments: '',
    };
    const entry: Entry = { item, audioMs: 0, audio: null, hearing: null };
    const outputIndex = this.#addItem(entry);
    const at = { response_id: this.id, item_id: item.id, output_index: outputIndex, call_id: output.callId };
    for (let from = 0; from < output.arguments.length; from += ARGUMENT_DELTA_LENGTH) {
      const delta = output.arguments.slice(from, from + ARGUMENT_DELTA_LENGTH);
      this.#host.send({
        type: 'response.function_call_arguments.delta',
        ...at,
        delta,
        obfuscation: obfuscation(delta),
      });
    }
    this.#host.change(entry, () => {
      item.arguments = output.arguments;
      item.status = 'completed';
    });
    this.#tokens = add(this.#tokens, { text: textTokens(output.name + output.arguments), audio: 0, image: 0 });
    this.#host.send({
      type: 'response.function_call_arguments.done',
      ...at,
      name: output.name,
      arguments: output.arguments,
    });
    this.#itemDone(entry, outputIndex);
  }

  #finish(status: EndStatus, details: Wire | null): void {
    if (this.#ended) return;
    this.#closeMessage('incomplete');
    const { now, before } = this.#host.inputTokens(this);
    this.drop();
    this.#host.send({
      type: 'response.done',
      response: this.#object(status, details, responseUsage(now, this.#tokens, before)),
    });
    this.#host.ended(this);
  }

  #object(status: string, details: Wire | null, usage: Wire | null): Wire {
    const { outOfBand, modality, format, voice, maxOutputTokens, metadata } = this.settings;
    return {
      object: 'realtime.response',
      id: this.id,
      status,
      status_details: details,
      output: this.#output,
      conversation_id: outOfBand ? null : this.#host.conversationId,
      output_modalities: [modality],
      max_output_tokens: maxOutputTokens,
      audio: { output: { format, voice } },
      usage,
      metadata: metadata ?? null,
    };
  }
}
