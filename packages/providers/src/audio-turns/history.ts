// What was said in a session, and what a chat completion is told of it.
//
// Speech stands here as text: the model's own words come with its sound, and the user's once they were written down.
// Until then, and where they could not be, the sound itself stands for them, as far as there is room for it.
//
// P1  A call and its output are sent together or not at all: hosts refuse the one without the other.

import type { Wire } from '../openai/wire.ts';
import { BYTES_PER_MS, wavOf } from './pcm.ts';

export type HistoryItem =
  | { kind: 'user'; id: string; text: string; pcm: Buffer | null }
  | { kind: 'system'; id: string; text: string }
  | { kind: 'assistant'; id: string; text: string; audio_ms: number }
  /** `host_id` is the name that the host gave it; it is repeated to the host, and to nobody else. */
  | { kind: 'call'; id: string; call_id: string; host_id: string; name: string; arguments: string }
  | { kind: 'output'; id: string; call_id: string; output: string };

export interface HistoryLimits {
  items_max: number;
  chars_max: number;
  /** Of sound that stands for words. The newest turn is kept whatever its length. */
  audio_bytes_max: number;
}

export class History {
  readonly #limits: HistoryLimits;
  #items: HistoryItem[] = [];

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  get lastId(): string | null {
    return this.#items.at(-1)?.id ?? null;
  }

  find(id: string): HistoryItem | undefined {
    return this.#items.find((item) => item.id === id);
  }

  /** The id before an item; null for the first. */
  before(id: string): string | null {
    return this.#items[this.#items.findIndex((item) => item.id === id) - 1]?.id ?? null;
  }

  /** Puts it after `previous` (null: first; absent: last). False when there is no such item. */
  add(item: HistoryItem, previous?: string | null): boolean {
    const at = previous === undefined ? this.#items.length : this.#items.findIndex(({ id }) => id === previous) + 1;
    if (previous !== undefined && previous !== null && at === 0) return false;
    this.#items.splice(at, 0, item);
    this.#trim();
    return true;
  }

  delete(id: string): boolean {
    const found = this.#items.findIndex((item) => item.id === id);
    if (found >= 0) this.#items.splice(found, 1);
    return found >= 0;
  }

  /** The words of a turn are known: its sound is not needed any more. */
  written(id: string, text: string): void {
    const item = this.find(id);
    if (item?.kind !== 'user' || text === '') return;
    item.text = item.text === '' ? text : `${item.text}\n${text}`;
    item.pcm = null;
    this.#trim();
  }

  /** Cuts an answer to what was heard of it. */
  truncate(item: Extract<HistoryItem, { kind: 'assistant' }>, audio_ms: number): void {
    const words = item.text.split(/(?<=\s)/u);
    const kept = item.audio_ms === 0 ? 0 : Math.floor((words.length * audio_ms) / item.audio_ms);
    item.text = words.slice(0, kept).join('').trimEnd();
    item.audio_ms = audio_ms;
  }

  /** The messages of a completion over all of it. */
  messages(): Wire[] {
    return messagesOf(this.#items);
  }

  #trim(): void {
    const { items_max, chars_max, audio_bytes_max } = this.#limits;
    let audio = 0;
    let chars = 0;
    let kept = 0;
    for (const item of this.#items.toReversed()) {
      if (item.kind === 'user' && item.pcm) {
        if (audio > 0 && audio + item.pcm.length > audio_bytes_max) item.pcm = null;
        else audio += item.pcm.length;
      }
      chars += charsOf(item);
      // The latest turn and what belongs to it stay, however long they are.
      if (kept >= items_max || (chars > chars_max && kept >= 2)) break;
      kept += 1;
    }
    if (kept < this.#items.length) this.#items = this.#items.slice(-kept);
  }
}

function charsOf(item: HistoryItem): number {
  if (item.kind === 'call') return item.arguments.length;
  return item.kind === 'output' ? item.output.length : item.text.length;
}

/** Items as messages of chat completions. */
export function messagesOf(items: readonly HistoryItem[]): Wire[] {
  const outputs = new Map(
    items.flatMap((item) => (item.kind === 'output' ? [[item.call_id, item.output] as const] : [])),
  );
  const messages: Wire[] = [];
  for (const [n, item] of items.entries()) {
    switch (item.kind) {
      case 'user':
        messages.push({ role: 'user', content: contentOf(item) });
        break;
      case 'system':
        messages.push({ role: 'system', content: item.text });
        break;
      case 'assistant':
        if (item.text !== '') messages.push({ role: 'assistant', content: item.text });
        break;
      case 'call':
        if (items[n - 1]?.kind !== 'call') messages.push(...callsFrom(items.slice(n), outputs));
        break;
      case 'output':
        // Stands behind its call.
        break;
    }
  }
  return messages;
}

/** The calls of one answer, side by side, and their outputs. Those without one are left out (P1). */
function callsFrom(items: readonly HistoryItem[], outputs: ReadonlyMap<string, string>): Wire[] {
  const end = items.findIndex(({ kind }) => kind !== 'call');
  const calls = items
    .slice(0, end < 0 ? items.length : end)
    .flatMap((item) => (item.kind === 'call' && outputs.has(item.call_id) ? [item] : []));
  if (calls.length === 0) return [];
  const tool_calls = calls.map(({ host_id, name, arguments: text }) => {
    return { id: host_id, type: 'function', function: { name, arguments: text } };
  });
  return [
    { role: 'assistant', content: null, tool_calls },
    ...calls.map(({ call_id, host_id }) => ({
      role: 'tool',
      tool_call_id: host_id,
      content: outputs.get(call_id) ?? '',
    })),
  ];
}

function contentOf({ text, pcm }: Extract<HistoryItem, { kind: 'user' }>): unknown {
  if (text !== '' && pcm === null) return text;
  if (pcm === null) return '(something was said that was not written down)';
  if (pcm.length < BYTES_PER_MS) return '(silence)';
  const sound = { type: 'input_audio', input_audio: { data: wavOf(pcm).toString('base64'), format: 'wav' } };
  return text === '' ? [sound] : [{ type: 'text', text }, sound];
}
