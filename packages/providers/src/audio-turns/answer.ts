// One answer: a streamed completion, told as the frames of one response.
//
// P1  `response.created` comes first, `response.done` last, each once, whatever happens between.
// P2  The deltas of a part add up to its done frame, to its item and to what stands in the history.
// P3  After it was cancelled nothing more comes of it, and the request is gone: nobody generates on.

import { newId, randomSuffix } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { Wire, WireFrame } from '../openai/wire.ts';
import type { ChatListener } from './chat.ts';
import { Failure } from './failure.ts';
import type { HistoryItem } from './history.ts';
import { BYTES_PER_MS } from './pcm.ts';
import { usageOf } from './usage.ts';

export interface AnswerSettings {
  modality: 'audio' | 'text';
  /** Beside the conversation: it leaves no items there. */
  outOfBand: boolean;
  metadata: unknown;
  /** Whole body of the request, but for the stream. */
  request: Wire;
}

export interface AnswerHost {
  clock: Clock;
  conversation_id: string;
  answer_ms_max: number;
  send(frame: WireFrame): void;
  sendAudio(ids: string, base64: string): void;
  room(): Promise<void>;
  stream(request: Wire, signal: AbortSignal, on: ChatListener): Promise<void>;
  /** Puts an item into the conversation; the id before it comes back. */
  insert(item: HistoryItem): string | null;
  before(id: string): string | null;
  ended(answer: Answer, failure: Failure | null): void;
}

type Status = 'completed' | 'cancelled' | 'failed' | 'incomplete';

interface Part {
  item: Extract<HistoryItem, { kind: 'assistant' }>;
  kind: 'audio' | 'text';
  output_index: number;
  /** The beginning of each audio frame, up to its id. */
  ids: string;
  bytes: number;
}

interface CallPieces {
  id: string | undefined;
  name: string;
  arguments: string;
}

const RETRIES_MAX = 2;
const RETRY_MS = 300;
const RETRY_MS_MAX = 2_000;

const INCOMPLETE: Readonly<Record<string, string>> = { length: 'max_output_tokens', content_filter: 'content_filter' };

export class Answer implements ChatListener {
  readonly id = `resp_${randomSuffix()}`;
  readonly settings: AnswerSettings;
  /** Milliseconds of sound that came so far. */
  audio_ms = 0;
  readonly #host: AnswerHost;
  readonly #abort = new AbortController();
  readonly #output: Wire[] = [];
  readonly #calls = new Map<number, CallPieces>();
  #part: Part | null = null;
  #usage: Wire | null = null;
  #reason = 'stop';
  #ended = false;

  constructor(settings: AnswerSettings, host: AnswerHost) {
    this.settings = settings;
    this.#host = host;
  }

  /** Asks, and goes on to the end. Never rejects. */
  async run(): Promise<void> {
    this.#host.send({ type: 'response.created', response: this.#object('in_progress', null) });
    const { answer_ms_max, clock } = this.#host;
    const late = clock.after(answer_ms_max, () => {
      this.#abort.abort(new Failure('timeout_error', `the answer did not end within ${answer_ms_max} ms`));
    });
    try {
      await this.#ask();
      this.#complete();
    } catch (caught) {
      this.#fail(Failure.of(caught));
    } finally {
      late.cancel();
    }
  }

  cancel(reason: 'turn_detected' | 'client_cancelled'): void {
    this.#finish('cancelled', { type: 'cancelled', reason });
  }

  /** Ends without a word: nobody is there any more. */
  drop(): void {
    this.#ended = true;
    this.#abort.abort(new Failure('connection_error', 'the session ended'));
  }

  /** Asks again, a little later, as long as nothing came and it may go better. */
  async #ask(): Promise<void> {
    const { signal } = this.#abort;
    for (let retries = 0; ; retries++) {
      try {
        return await this.#host.stream(this.settings.request, signal, this);
      } catch (caught) {
        const failure = Failure.of(caught);
        const wait_ms = failure.wire.retry_after_ms ?? RETRY_MS * 2 ** retries;
        const nothing = this.#part === null && this.#calls.size === 0 && !signal.aborted;
        if (!nothing || !failure.passing || retries >= RETRIES_MAX || wait_ms > RETRY_MS_MAX) throw failure;
        await this.#pause(wait_ms, signal);
      }
    }
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#host.clock.after(ms, resolve);
      signal.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason as Error);
      });
    });
  }

  audio(pcm: Buffer): void {
    if (this.#ended || this.settings.modality === 'text') return;
    const part = this.#part ?? this.#begin('audio');
    if (part.kind !== 'audio') return;
    part.bytes += pcm.length;
    this.audio_ms = part.bytes / BYTES_PER_MS;
    this.#host.sendAudio(part.ids, pcm.toString('base64'));
  }

  transcript(text: string): void {
    this.#words(this.settings.modality, text);
  }

  text(text: string): void {
    // Words without sound, of a model that does not speak: they are shown as what they are.
    this.#words('text', text);
  }

  call(index: number, piece: Parameters<ChatListener['call']>[1]): void {
    if (this.#ended) return;
    const call = this.#calls.get(index) ?? { id: undefined, name: '', arguments: '' };
    const id = piece.id ?? call.id;
    this.#calls.set(index, { id, name: piece.name ?? call.name, arguments: call.arguments + piece.arguments });
  }

  usage(usage: Wire): void {
    this.#usage = usage;
  }

  finish(reason: string): void {
    this.#reason = reason;
  }

  room(): Promise<void> {
    return this.#host.room();
  }

  #words(kind: Part['kind'], delta: string): void {
    if (this.#ended) return;
    const part = this.#part ?? this.#begin(kind);
    part.item.text += delta;
    const type = part.kind === 'audio' ? 'response.output_audio_transcript.delta' : 'response.output_text.delta';
    this.#host.send({ type, ...this.#at(part), delta });
  }

  #at({ item, output_index }: Part): Wire {
    return { response_id: this.id, item_id: item.id, output_index, content_index: 0 };
  }

  #begin(kind: Part['kind']): Part {
    const item: Part['item'] = { kind: 'assistant', id: newId('item'), text: '', audio_ms: 0 };
    const output_index = this.#output.length;
    const ids = `{"type":"response.output_audio.delta","response_id":"${this.id}","item_id":"${item.id}","output_index":${output_index},"content_index":0,`;
    const part: Part = { item, kind, output_index, ids, bytes: 0 };
    this.#part = part;
    this.#added(item, messageOf(part, 'in_progress'));
    const shown = kind === 'audio' ? { type: 'audio', transcript: '' } : { type: 'text', text: '' };
    this.#host.send({ type: 'response.content_part.added', ...this.#at(part), part: shown });
    return part;
  }

  #added(item: HistoryItem, wire: Wire): void {
    const output_index = this.#output.length;
    this.#output.push(wire);
    this.#host.send({ type: 'response.output_item.added', response_id: this.id, output_index, item: wire });
    if (this.settings.outOfBand) return;
    const previous_item_id = this.#host.insert(item);
    this.#host.send({ type: 'conversation.item.added', previous_item_id, item: wire });
  }

  #done(output_index: number, wire: Wire): void {
    this.#output[output_index] = wire;
    if (!this.settings.outOfBand) {
      const previous_item_id = this.#host.before(String(wire['id']));
      this.#host.send({ type: 'conversation.item.done', previous_item_id, item: wire });
    }
    this.#host.send({ type: 'response.output_item.done', response_id: this.id, output_index, item: wire });
  }

  #close(status: 'completed' | 'incomplete'): void {
    const part = this.#part;
    if (!part) return;
    this.#part = null;
    part.item.audio_ms = Math.round(part.bytes / BYTES_PER_MS);
    const at = this.#at(part);
    const { text } = part.item;
    if (part.kind === 'audio') {
      this.#host.send({ type: 'response.output_audio.done', ...at });
      this.#host.send({ type: 'response.output_audio_transcript.done', ...at, transcript: text });
      this.#host.send({ type: 'response.content_part.done', ...at, part: { type: 'audio', transcript: text } });
    } else {
      this.#host.send({ type: 'response.output_text.done', ...at, text });
      this.#host.send({ type: 'response.content_part.done', ...at, part: { type: 'text', text } });
    }
    this.#done(part.output_index, messageOf(part, status));
  }

  /** The calls of the answer, under ids of our own: some hosts give the same ids in every answer. */
  #tell({ id: given, name, arguments: text }: CallPieces): void {
    const id = newId('item');
    const call_id = newId('call');
    const call: HistoryItem = { kind: 'call', id, call_id, host_id: given ?? call_id, name, arguments: text };
    const wire = { id, object: 'realtime.item', type: 'function_call', name, call_id };
    const output_index = this.#output.length;
    this.#added(call, { ...wire, status: 'in_progress', arguments: '' });
    const at = { response_id: this.id, item_id: id, output_index, call_id };
    this.#host.send({ type: 'response.function_call_arguments.delta', ...at, delta: text });
    this.#host.send({ type: 'response.function_call_arguments.done', ...at, name, arguments: text });
    this.#done(output_index, { ...wire, status: 'completed', arguments: text });
  }

  #complete(): void {
    if (this.#ended) return;
    const reason = INCOMPLETE[this.#reason];
    if (reason !== undefined) return this.#finish('incomplete', { type: 'incomplete', reason });
    this.#close('completed');
    for (const call of this.#calls.values()) if (call.name !== '') this.#tell(call);
    this.#finish('completed', null);
  }

  #fail(failure: Failure): void {
    this.#finish('failed', { type: 'failed', error: failure.wire }, failure);
  }

  #finish(status: Status, details: Wire | null, failure: Failure | null = null): void {
    if (this.#ended) return;
    this.#close('incomplete');
    this.#ended = true;
    // An answer that came to its end leaves its connection to the next one.
    if (status === 'cancelled' || status === 'failed') this.drop();
    this.#host.send({ type: 'response.done', response: this.#object(status, details) });
    this.#host.ended(this, failure);
  }

  #object(status: Status | 'in_progress', status_details: Wire | null): Wire {
    const { modality, metadata, outOfBand } = this.settings;
    return {
      object: 'realtime.response',
      id: this.id,
      status,
      status_details,
      output: this.#output,
      conversation_id: outOfBand ? null : this.#host.conversation_id,
      output_modalities: [modality],
      usage: status === 'in_progress' ? null : usageOf(this.#usage ?? {}),
      metadata: metadata ?? null,
    };
  }
}

function messageOf({ item, kind }: Part, status: string): Wire {
  const part =
    kind === 'audio' ? { type: 'output_audio', transcript: item.text } : { type: 'output_text', text: item.text };
  const content = status === 'in_progress' ? [] : [part];
  return { id: item.id, object: 'realtime.item', type: 'message', status, role: 'assistant', content };
}
