// One answer of a provider that speaks something else, told as OpenAI tells an answer: created, its parts as they grow,
// done. Ids and items are made here.

import { newId, randomSuffix } from '@parley/core';
import { encoded, type Wire } from './wire.ts';

export interface AnswerRequest {
  event_id: string;
  metadata: Wire | null;
}

export interface AnswerOptions {
  emit: (frame: Buffer) => void;
  request: AnswerRequest | null;
  conversation_id: string;
  speaks: boolean;
  previous_item_id: string | null;
}

export class Answer {
  readonly id = `resp_${randomSuffix()}`;
  readonly request: AnswerRequest | null;
  readonly #options: AnswerOptions;
  readonly #output: Wire[] = [];
  #item_id: string | null = null;
  #text = '';

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.request = options.request;
    options.emit(event('response.created', { response: this.#response('in_progress', null) }));
  }

  /** The item that was added last, for what comes after it. */
  get last_item_id(): string | null {
    return (this.#output.at(-1)?.['id'] as string | undefined) ?? this.#item_id ?? this.#options.previous_item_id;
  }

  /** Sound in base64, passed on as it came. */
  sound(data: string): void {
    const item_id = this.#message();
    this.#options.emit(
      Buffer.from(
        `{"type":"response.output_audio.delta","event_id":"${newId('event')}","response_id":"${this.id}","item_id":"${item_id}","output_index":${this.#output.length},"content_index":0,"delta":"${data}"}`,
      ),
    );
  }

  /** Words: what is spoken, or what is written where nothing is spoken. */
  words(delta: string): void {
    if (delta === '') return;
    const item_id = this.#message();
    this.#text += delta;
    const type = this.#options.speaks ? 'response.output_audio_transcript.delta' : 'response.output_text.delta';
    this.#part(type, item_id, { delta });
  }

  /** A tool is called. `input` is JSON text. */
  call(call_id: string, name: string, input: string): void {
    this.#endMessage('completed');
    const output_index = this.#output.length;
    const item = { id: newId('item'), object: 'realtime.item', type: 'function_call', name, call_id };
    const begun = { ...item, status: 'in_progress', arguments: '' };
    const done = { ...item, status: 'completed', arguments: input };
    this.#tell('response.output_item.added', { output_index, item: begun });
    this.#options.emit(event('conversation.item.added', { previous_item_id: this.#previous(), item: begun }));
    this.#options.emit(event('conversation.item.done', { previous_item_id: this.#previous(), item: done }));
    this.#tell('response.output_item.done', { output_index, item: done });
    this.#output.push(done);
  }

  end(status: 'completed' | 'cancelled', reason: string | null, usage: Wire | null): void {
    this.#endMessage(status === 'completed' ? 'completed' : 'incomplete');
    const details = reason === null ? null : { type: status, reason };
    this.#options.emit(
      event('response.done', { response: { ...this.#response(status, usage), status_details: details } }),
    );
  }

  #response(status: string, usage: Wire | null): Wire {
    return {
      id: this.id,
      object: 'realtime.response',
      status,
      status_details: null,
      output: [...this.#output],
      conversation_id: this.#options.conversation_id,
      output_modalities: [this.#options.speaks ? 'audio' : 'text'],
      max_output_tokens: 'inf',
      usage,
      metadata: this.request?.metadata ?? null,
    };
  }

  #previous(): string | null {
    return (this.#output.at(-1)?.['id'] as string | undefined) ?? this.#options.previous_item_id;
  }

  /** The message that the words belong to; begun when there is none. */
  #message(): string {
    if (this.#item_id !== null) return this.#item_id;
    const item_id = newId('item');
    const item = this.#messageItem(item_id, 'in_progress', []);
    this.#tell('response.output_item.added', { output_index: this.#output.length, item });
    this.#options.emit(event('conversation.item.added', { previous_item_id: this.#previous(), item }));
    this.#item_id = item_id;
    const part = this.#options.speaks ? { type: 'audio', transcript: '' } : { type: 'text', text: '' };
    this.#part('response.content_part.added', item_id, { part });
    return item_id;
  }

  #endMessage(status: 'completed' | 'incomplete'): void {
    const item_id = this.#item_id;
    if (item_id === null) return;
    const { speaks } = this.#options;
    const text = this.#text;
    if (speaks) {
      this.#part('response.output_audio.done', item_id, {});
      this.#part('response.output_audio_transcript.done', item_id, { transcript: text });
      this.#part('response.content_part.done', item_id, { part: { type: 'audio', transcript: text } });
    } else {
      this.#part('response.output_text.done', item_id, { text });
      this.#part('response.content_part.done', item_id, { part: { type: 'text', text } });
    }
    const content = speaks ? { type: 'output_audio', transcript: text } : { type: 'output_text', text };
    const item = this.#messageItem(item_id, status, [content]);
    this.#options.emit(event('conversation.item.done', { previous_item_id: this.#previous(), item }));
    this.#tell('response.output_item.done', { output_index: this.#output.length, item });
    this.#output.push(item);
    this.#item_id = null;
    this.#text = '';
  }

  #messageItem(id: string, status: string, content: Wire[]): Wire {
    return { id, object: 'realtime.item', type: 'message', status, role: 'assistant', content };
  }

  #part(type: string, item_id: string, more: Wire): void {
    this.#tell(type, { item_id, output_index: this.#output.length, content_index: 0, ...more });
  }

  #tell(type: string, more: Wire): void {
    this.#options.emit(event(type, { response_id: this.id, ...more }));
  }
}

export function event(type: string, more: Wire): Buffer {
  return encoded({ type, event_id: newId('event'), ...more });
}
