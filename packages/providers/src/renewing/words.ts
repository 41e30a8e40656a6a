// The words of an answer that is being generated, as they come: what was said of it, when it is cut.

import { decoded, textIn } from '../openai/wire.ts';

const FRAMES_MAX = 2_048;

export class Words {
  #frames: Buffer[] = [];

  /** A frame of the provider: kept unread where it holds words. */
  frame(type: string | null, frame: Buffer): void {
    if (type === 'response.output_audio_transcript.delta' || type === 'response.output_text.delta') {
      if (this.#frames.length < FRAMES_MAX) this.#frames.push(frame);
    } else if (type === 'response.done') this.#frames = [];
  }

  /** What an answer said so far, and in which item. */
  of(response_id: string): { text: string; item_id?: string } {
    const deltas = this.#frames.map(decoded).filter((event) => event?.['response_id'] === response_id);
    const item_id = deltas[0] && textIn(deltas[0], 'item_id');
    const text = deltas.map((event) => (event && textIn(event, 'delta')) ?? '').join('');
    return { text, ...(item_id ? { item_id } : {}) };
  }

  clear(): void {
    this.#frames = [];
  }
}
