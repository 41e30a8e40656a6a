// What was said so far, as far as a new connection has to be told it: text, and tools with what they returned. Sound of
// the model cannot be given back to it.

import type { ModelCommand, ModelCommandOf, ModelEvent } from '@parley/core';

export interface HistoryLimits {
  /** Entries that are kept; the oldest go first. */
  entries_max: number;
  /** Characters that are kept, of all entries together. */
  chars_max: number;
}

export const HISTORY_LIMITS: HistoryLimits = { entries_max: 200, chars_max: 64_000 };

interface Entry {
  role: ModelCommandOf<'add_text'>['role'];
  text: string;
  /** Of an answer: what may still be found not to have been heard. */
  item_id?: string | undefined;
  audio_ms?: number;
}

export class History {
  readonly #limits: HistoryLimits;
  readonly #calls = new Map<string, { name: string; input: string }>();
  #entries: Entry[] = [];
  #chars = 0;
  /** Grows with every entry. */
  version = 0;

  constructor(limits: HistoryLimits = HISTORY_LIMITS) {
    this.#limits = limits;
  }

  /** The commands that tell it to a new connection, in order. */
  replay(): ModelCommandOf<'add_text'>[] {
    return this.#entries.map(({ role, text }) => ({ type: 'add_text', role, text }));
  }

  event(event: ModelEvent): void {
    if (event.type === 'turn.completed') this.#add({ role: 'user', text: event.text });
    else if (event.type === 'response.completed') {
      const { item_id, text, audio_ms } = event;
      this.#add({ role: 'assistant', text, item_id, audio_ms });
    } else if (event.type === 'tool.called') {
      this.#calls.set(event.call_id, { name: event.name, input: event.arguments });
    }
  }

  command(command: ModelCommand): void {
    if (command.type === 'add_text') this.#add({ role: command.role, text: command.text });
    else if (command.type === 'tool_output') {
      const call = this.#calls.get(command.call_id);
      this.#calls.delete(command.call_id);
      // The pair is one entry, so that neither half is ever replayed alone.
      if (call) this.#add({ role: 'system', text: `Tool ${call.name}(${call.input}) returned ${command.output}` });
    } else if (command.type === 'truncate') this.#cut(command.item_id, command.audio_ms);
  }

  /** Tools that were called and have no output yet. */
  get open_calls(): number {
    return this.#calls.size;
  }

  #add(entry: Entry): void {
    if (entry.text === '') return;
    const { entries_max, chars_max } = this.#limits;
    const kept = { ...entry, text: entry.text.slice(0, chars_max) };
    this.#entries.push(kept);
    this.#chars += kept.text.length;
    this.version += 1;
    while (this.#entries.length > entries_max || this.#chars > chars_max) {
      this.#chars -= this.#entries.shift()?.text.length ?? 0;
    }
  }

  /** Keeps the words that were heard, by the share of the sound that was, to the last whole word. */
  #cut(item_id: string, heard_ms: number): void {
    const entry = this.#entries.find((one) => one.item_id === item_id);
    if (!entry?.audio_ms || heard_ms >= entry.audio_ms) return;
    const cut = entry.text.slice(0, Math.floor((entry.text.length * heard_ms) / entry.audio_ms));
    const words = cut.slice(0, cut.lastIndexOf(' ') + 1).trimEnd();
    this.#chars -= entry.text.length - words.length;
    entry.text = words;
    this.version += 1;
  }
}
