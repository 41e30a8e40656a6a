// What was said in a session, as text: what the next call is told, where the provider forgets the last one with its call.

import { type EventRecord, heardText, type ModelCommandOf } from '@parley/core';

type Line = ModelCommandOf<'add_text'> & { response_id?: string; heard_ms?: number; audio_ms?: number };

/** The newest that are kept. */
const LINES_MAX = 64;
const CHARS_MAX = 32_768;

export class History {
  #lines: Line[] = [];
  #chars = 0;

  /** An entry of the log. */
  event(record: EventRecord): void {
    switch (record.type) {
      case 'turn.completed':
        this.#add({ type: 'add_text', role: 'user', text: record.text });
        break;
      case 'input.injected':
        this.#add({ type: 'add_text', role: 'user', text: record.text });
        break;
      case 'transcript.completed':
        if (record.track === 'agent') {
          const { text, response_id } = record;
          this.#add({
            type: 'add_text',
            role: 'assistant',
            text,
            ...(response_id === undefined ? {} : { response_id }),
          });
        }
        break;
      case 'response.interrupted':
        this.#of(record.response_id, { heard_ms: record.played_ms });
        break;
      case 'response.completed':
        this.#of(record.response_id, { audio_ms: record.audio_ms });
        break;
      default:
    }
  }

  /** The conversation so far, oldest first. */
  lines(): ModelCommandOf<'add_text'>[] {
    return this.#lines.filter(({ text }) => text !== '').map(({ type, role, text }) => ({ type, role, text }));
  }

  #add(line: Line): void {
    if (line.text === '') return;
    this.#lines.push(line);
    this.#chars += line.text.length;
    while (this.#lines.length > LINES_MAX || (this.#chars > CHARS_MAX && this.#lines.length > 1)) {
      this.#chars -= this.#lines.shift()?.text.length ?? 0;
    }
  }

  /** The user did not hear all of it, so the model did not say all of it. Which is known first depends on the pace. */
  #of(response_id: string, known: Pick<Line, 'heard_ms' | 'audio_ms'>): void {
    for (const line of this.#lines) {
      if (line.response_id !== response_id) continue;
      Object.assign(line, known);
      const { text, heard_ms, audio_ms } = line;
      if (heard_ms !== undefined && audio_ms !== undefined) line.text = heardText(text, heard_ms, audio_ms);
    }
  }
}
