import { newId } from '@parley/core';
import type { Utterance } from '../voice.ts';
import type { ContentPart, Item, Wire } from '../wire.ts';
import type { Entry } from './conversation.ts';
import { obfuscation } from './delta.ts';
import type { ResponseHost } from './response.ts';
import { outputAudioTokens, textTokens, type Tokens } from './usage.ts';

// The one content part of an assistant message while it is being said: its deltas, and its done events, which say
// what the deltas said, also when the part is cut short.

/** What the sound of a part belongs to. */
export interface PartSound {
  responseId: string;
  itemId: string;
  /** The constant beginning of its audio frames, up to their event id. */
  head: string;
}

export class MessagePart {
  readonly entry: Entry;
  readonly #host: ResponseHost;
  readonly #audible: boolean;
  readonly #address: Wire;
  readonly #sound: PartSound;
  #text = '';
  #sentMs = 0;

  constructor(host: ResponseHost, responseId: string, outputIndex: number, audible: boolean) {
    const id = newId('item');
    const item: Item = {
      id,
      object: 'realtime.item',
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      content: [],
    };
    this.entry = { item, audioMs: 0, audio: null, hearing: null };
    this.#host = host;
    this.#audible = audible;
    this.#address = { response_id: responseId, item_id: id, output_index: outputIndex, content_index: 0 };
    const head = `{"type":"response.output_audio.delta","response_id":"${responseId}","item_id":"${id}","output_index":${outputIndex},"content_index":0,"event_id":"`;
    this.#sound = { responseId, itemId: id, head };
  }

  /** Milliseconds of sound that were sent. */
  get sentMs(): number {
    return this.#sentMs;
  }

  /** What the part costs so far, and with more. */
  tokens(moreText = '', moreMs = 0): Tokens {
    return { text: textTokens(this.#text + moreText), audio: outputAudioTokens(this.#sentMs + moreMs), image: 0 };
  }

  begin(): void {
    this.#host.send({ type: 'response.content_part.added', ...this.#address, part: this.#part('') });
  }

  sendWords(delta: string): void {
    if (delta === '') return;
    this.#text += delta;
    const type = this.#audible ? 'response.output_audio_transcript.delta' : 'response.output_text.delta';
    this.#host.send({ type, ...this.#address, delta, obfuscation: obfuscation(delta) });
  }

  sendAudio(utterance: Utterance, step: number): void {
    const delta = utterance.deltas[step] as string;
    this.#sentMs = Math.min(utterance.totalMs, this.#sentMs + utterance.deltaMs);
    // Base64 needs no escaping, so the frame is put together by hand: the long string is copied once.
    this.#host.sendAudio(this.#sound, delta);
  }

  /** The closing events of the part; the item is complete after them. */
  end(status: 'completed' | 'incomplete'): void {
    const text = this.#text;
    this.#host.change(this.entry, () => {
      this.entry.item.content = [
        this.#audible ? { type: 'output_audio', transcript: text } : { type: 'output_text', text },
      ] satisfies ContentPart[];
      this.entry.item.status = status;
      this.entry.audioMs = this.#sentMs;
    });
    const at = this.#address;
    if (this.#audible) {
      this.#host.send({ type: 'response.output_audio.done', ...at });
      this.#host.send({ type: 'response.output_audio_transcript.done', ...at, transcript: text });
    } else this.#host.send({ type: 'response.output_text.done', ...at, text });
    this.#host.send({ type: 'response.content_part.done', ...at, part: this.#part(text) });
  }

  /** In content_part events a part is `audio` or `text`, while the item says `output_audio` and `output_text`. */
  #part(text: string): Wire {
    return this.#audible ? { type: 'audio', transcript: text } : { type: 'text', text };
  }
}
