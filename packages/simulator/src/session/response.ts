import { newId, randomSuffix } from '@parley/core';
import type { Clock, ClockTimer } from '../clock.ts';
import type { Output } from '../model.ts';
import { PLAYBACK_TRANSCRIPT } from '../model.ts';
import type { AudioFormat, ContentPart, FunctionTool, Item, Modality, ServerEvent, ToolChoice, Wire } from '../wire.ts';
import type { Utterance } from '../voice.ts';
import type { Entry } from './conversation.ts';
import { obfuscation, wordsOf } from './delta.ts';
import { add, NO_TOKENS, outputAudioTokens, responseUsage, textTokens, type Tokens } from './usage.ts';

// One response from `response.created` to `response.done`.
//
// P1 Exactly one response.done, and it comes last.
// P2 The deltas of a part add up to its done event, to the item and to what stands in response.done, also when it is
//    cut short.
// P3 One timer at a time, however long the answer is.

export type EndStatus = 'completed' | 'cancelled' | 'failed' | 'incomplete';

/** What `response.create` asked for, with the session's settings where it was silent. */
export interface ResponseSettings {
  outOfBand: boolean;
  modality: Modality;
  format: AudioFormat;
  voice: unknown;
  maxOutputTokens: number | 'inf';
  metadata: unknown;
  instructions: string | undefined;
  tools: FunctionTool[];
  toolChoice: ToolChoice;
  toolChoiceIsExplicit: boolean;
  parallel: boolean;
  /** The context given in `response.create`; null: the conversation. */
  input: Entry[] | null;
  idle: boolean;
}

/** What a response needs of its session. */
export interface ResponseHost {
  clock: Clock;
  conversationId: string;
  /** Times faster than real time. */
  pace: number;
  ready(): boolean;
  send(event: ServerEvent): void;
  sendRaw(frame: string): void;
  newEventId(): string;
  /** Decides what to say and to call. Null: the response was ended on the way. */
  plan(response: Response): Promise<Output[] | null>;
  speak(output: Output & { kind: 'say' | 'playback' }, response: Response): Promise<Utterance>;
  /** Puts an item into the conversation; returns the id before it. */
  insert(entry: Entry): string | null;
  /** The id that stands before an item now. */
  before(entry: Entry): string | null;
  change(entry: Entry, change: () => void): void;
  inputTokens(response: Response): { now: Tokens; before: Tokens };
  spoke(bytes: number): void;
  ended(response: Response): void;
}

/** Milliseconds that one word of text takes before pacing. */
const TEXT_WORD_MS = 60;
/** How often a slow reader is looked at again. */
const READY_POLL_MS = 25;
const ARGUMENT_DELTA_LENGTH = 24;

interface OpenPart {
  entry: Entry;
  part: ContentPart;
  outputIndex: number;
  sentMs: number;
  text: string;
}

export class Response {
  readonly id = `resp_${randomSuffix()}`;
  readonly settings: ResponseSettings;
  readonly #host: ResponseHost;
  readonly #abort = new AbortController();
  readonly #output: Item[] = [];
  #open: OpenPart | null = null;
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
    const open = this.#openMessage(audible);
    const words = wordsOf(text);
    const count = utterance ? utterance.deltas.length : words.length;
    const room = this.#room(text, utterance);
    const startMs = this.#host.clock.now();
    let said = 0;
    for (let step = 0; step < count; step++) {
      if (step >= room) return this.#finish('incomplete', { type: 'incomplete', reason: 'max_output_tokens' });
      await this.#until(startMs + this.#paced(step * (utterance ? utterance.deltaMs : TEXT_WORD_MS)));
      if (this.#ended) return;
      const upTo = utterance ? Math.ceil((words.length * (step + 1)) / count) : step + 1;
      if (upTo > said) this.#sendWords(open, words.slice(said, upTo).join(''));
      said = upTo;
      if (utterance) this.#sendAudio(open, utterance, step);
      if (utterance) this.playedAtMs = startMs + open.sentMs;
    }
    this.#closeMessage('completed');
  }

  /** How many steps fit into max_output_tokens. */
  #room(text: string, utterance: Utterance | null): number {
    const max = this.settings.maxOutputTokens;
    if (max === 'inf') return Number.POSITIVE_INFINITY;
    // One less than there is: words and deltas round up.
    const left = max - this.#tokens.text - this.#tokens.audio - 1;
    const steps = utterance ? utterance.deltas.length : wordsOf(text).length;
    const cost = textTokens(text) + (utterance ? outputAudioTokens(utterance.totalMs) : 0);
    return cost <= left ? Number.POSITIVE_INFINITY : Math.floor((steps * Math.max(0, left)) / cost);
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

  #openMessage(audible: boolean): OpenPart {
    const part: ContentPart = audible ? { type: 'output_audio', transcript: '' } : { type: 'output_text', text: '' };
    const item: Item = {
      id: newId('item'),
      object: 'realtime.item',
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      content: [],
    };
    const entry: Entry = { item, audioMs: 0, audio: null, hearing: null };
    const outputIndex = this.#addItem(entry);
    const open = { entry, part, outputIndex, sentMs: 0, text: '' };
    this.#open = open;
    this.#host.send({ type: 'response.content_part.added', ...this.#address(open), part: partOnWire(part) });
    return open;
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

  #address(open: OpenPart): Wire {
    return { response_id: this.id, item_id: open.entry.item.id, output_index: open.outputIndex, content_index: 0 };
  }

  #sendWords(open: OpenPart, delta: string): void {
    open.text += delta;
    const type =
      open.part.type === 'output_audio' ? 'response.output_audio_transcript.delta' : 'response.output_text.delta';
    this.#host.send({ type, ...this.#address(open), delta, obfuscation: obfuscation(delta) });
  }

  #sendAudio(open: OpenPart, utterance: Utterance, step: number): void {
    const delta = utterance.deltas[step] as string;
    open.sentMs = Math.min(utterance.totalMs, open.sentMs + utterance.deltaMs);
    // Base64 needs no escaping, so the frame is put together by hand: the long string is copied once.
    this.#host.sendRaw(
      `{"type":"response.output_audio.delta","event_id":"${this.#host.newEventId()}","response_id":"${this.id}","item_id":"${open.entry.item.id}","output_index":${open.outputIndex},"content_index":0,"delta":"${delta}"}`,
    );
    this.#host.spoke((delta.length * 3) / 4);
  }

  #closeMessage(status: 'completed' | 'incomplete'): void {
    const open = this.#open;
    if (!open) return;
    this.#open = null;
    const { entry, part } = open;
    const at = this.#address(open);
    const audible = part.type === 'output_audio';
    this.#host.change(entry, () => {
      if (audible) part.transcript = open.text;
      else part.text = open.text;
      entry.item.content = [part];
      entry.item.status = status;
      entry.audioMs = open.sentMs;
    });
    this.#tokens = add(this.#tokens, { text: textTokens(open.text), audio: outputAudioTokens(open.sentMs), image: 0 });
    if (audible) {
      this.#host.send({ type: 'response.output_audio.done', ...at });
      this.#host.send({ type: 'response.output_audio_transcript.done', ...at, transcript: open.text });
    } else this.#host.send({ type: 'response.output_text.done', ...at, text: open.text });
    this.#host.send({ type: 'response.content_part.done', ...at, part: partOnWire(part) });
    this.#itemDone(entry, open.outputIndex);
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

/** A part in content_part events is `audio` or `text`, while the item says `output_audio` and `output_text`. */
function partOnWire(part: ContentPart): Wire {
  return part.type === 'output_audio'
    ? { type: 'audio', transcript: part.transcript }
    : { type: 'text', text: part.text };
}
