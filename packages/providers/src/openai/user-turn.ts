// What the user says, told as OpenAI tells it. Gemini writes down fragments that belong to no item, and says of a turn
// that it is over only by answering, where it does not signal activity.

import { newId } from '@parley/core';
import type { Wire } from './wire.ts';
import { event } from './answer.ts';

export interface UserTurnOptions {
  emit: (frame: Buffer) => void;
  /** Milliseconds of sound that were sent so far. */
  sent_ms: () => number;
  previous_item_id: string | null;
  /** Push-to-talk has no beginning of speech. */
  detected: boolean;
}

export class UserTurn {
  readonly item_id = newId('item');
  readonly #options: UserTurnOptions;
  #text = '';
  #committed = false;
  #written = false;

  constructor(options: UserTurnOptions) {
    this.#options = options;
    if (options.detected) {
      options.emit(
        event('input_audio_buffer.speech_started', { item_id: this.item_id, audio_start_ms: options.sent_ms() }),
      );
    }
  }

  get over(): boolean {
    return this.#committed && this.#written;
  }

  get committed(): boolean {
    return this.#committed;
  }

  get heard(): boolean {
    return this.#text !== '';
  }

  fragment(text: string): void {
    if (text === '' || this.#written) return;
    this.#text += text;
    this.#tell('conversation.item.input_audio_transcription.delta', { content_index: 0, delta: text });
  }

  /** The turn is the model's. */
  commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    const { emit, detected, previous_item_id } = this.#options;
    if (detected) this.#tell('input_audio_buffer.speech_stopped', { audio_end_ms: this.#options.sent_ms() });
    this.#tell('input_audio_buffer.committed', { previous_item_id });
    const content = [{ type: 'input_audio', transcript: null }];
    const item = {
      id: this.item_id,
      object: 'realtime.item',
      type: 'message',
      status: 'completed',
      role: 'user',
      content,
    };
    emit(event('conversation.item.added', { previous_item_id, item }));
    emit(event('conversation.item.done', { previous_item_id, item }));
  }

  /** No more words of it come. */
  written(): void {
    if (this.#written) return;
    this.#written = true;
    this.#tell('conversation.item.input_audio_transcription.completed', {
      content_index: 0,
      transcript: this.#text.trim(),
      usage: { type: 'duration', seconds: 0 },
    });
  }

  #tell(type: string, more: Wire): void {
    this.#options.emit(event(type, { item_id: this.item_id, ...more }));
  }
}
