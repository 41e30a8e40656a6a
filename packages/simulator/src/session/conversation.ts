import type { Item } from '../wire.ts';
import { add, itemTokens, NO_TOKENS, type Tokens } from './usage.ts';
import { invalid, WireError } from './wire-error.ts';

// The conversation: items in order, each with what the wire does not show.

/** What a user turn turned out to be. `voice` is sound without a code, `silence` an empty turn. */
export interface Hearing {
  kind: 'typed' | 'coded' | 'voice' | 'silence';
  text: string;
}

/** Sound that belongs to an item. */
export interface ItemAudio {
  pcm: Int16Array;
  rate: number;
}

export interface Entry {
  item: Item;
  /** Milliseconds of audio in the item. */
  audioMs: number;
  /** The sound of a user turn, as long as there is room for it. */
  audio: ItemAudio | null;
  /** What was heard: resolves when the sound was decoded, never rejects. */
  hearing: Promise<Hearing> | null;
  /** Why listening failed, where it did. */
  failure?: { code: string; message: string };
}

export interface ConversationLimits {
  items: number;
  audioBytes: number;
}

export class Conversation {
  #entries: Entry[] = [];
  #byId = new Map<string, Entry>();
  #tokens: Tokens = NO_TOKENS;
  #audioBytes = 0;
  readonly #limits: ConversationLimits;

  constructor(limits: ConversationLimits) {
    this.#limits = limits;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** What the whole conversation costs as context; kept up to date, so that a long call costs no more than a short one. */
  get tokens(): Tokens {
    return this.#tokens;
  }

  get lastId(): string | null {
    return this.#entries.at(-1)?.item.id ?? null;
  }

  /** The id that stands before an entry; null for the first, and for one that was deleted meanwhile. */
  before(entry: Entry): string | null {
    return this.#entries[this.#entries.lastIndexOf(entry) - 1]?.item.id ?? null;
  }

  find(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  /** Puts an entry after `previousId` (absent: at the end, "root": first) and returns the id that stands before it. */
  insert(entry: Entry, previousId?: string): string | null {
    if (this.#entries.length >= this.#limits.items) {
      throw new WireError(
        'conversation_too_long',
        `The conversation is at its limit of ${this.#limits.items} items.`,
        'item',
      );
    }
    if (this.#byId.has(entry.item.id)) {
      throw new WireError('item_create_invalid_item_id', `Item with id '${entry.item.id}' already exists.`, 'item.id');
    }
    const at = this.#placeAfter(previousId);
    this.#entries.splice(at, 0, entry);
    this.#byId.set(entry.item.id, entry);
    this.#tokens = add(this.#tokens, itemTokens(entry.item, entry.audioMs));
    this.#keepAudio(entry);
    return this.#entries[at - 1]?.item.id ?? null;
  }

  #placeAfter(previousId: string | undefined): number {
    if (previousId === undefined) return this.#entries.length;
    if (previousId === 'root') return 0;
    const before = this.#byId.get(previousId);
    if (before) return this.#entries.indexOf(before) + 1;
    const message = `Previous item with id '${previousId}' not found.`;
    throw new WireError('item_create_invalid_previous_item_id', message, 'previous_item_id');
  }

  #keepAudio(entry: Entry): void {
    this.#audioBytes += entry.audio?.pcm.byteLength ?? 0;
    for (const oldest of this.#entries) {
      if (this.#audioBytes <= this.#limits.audioBytes) return;
      this.#audioBytes -= oldest.audio?.pcm.byteLength ?? 0;
      oldest.audio = null;
    }
  }

  /** Changes an entry and keeps the totals true. */
  change(entry: Entry, change: () => void): void {
    if (this.#byId.get(entry.item.id) !== entry) return change();
    this.#tokens = add(this.#tokens, itemTokens(entry.item, entry.audioMs), -1);
    change();
    this.#tokens = add(this.#tokens, itemTokens(entry.item, entry.audioMs));
  }

  delete(id: string): void {
    const entry = this.#byId.get(id);
    if (!entry)
      throw new WireError(
        'item_delete_invalid_item_id',
        `Error deleting item: the item with id '${id}' does not exist.`,
        'item_id',
      );
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    this.#byId.delete(id);
    this.#audioBytes -= entry.audio?.pcm.byteLength ?? 0;
    this.#tokens = add(this.#tokens, itemTokens(entry.item, entry.audioMs), -1);
  }

  /** Cuts an answer to what was played; its transcript keeps the words that were begun by then. */
  truncate(id: string, contentIndex: number, audioEndMs: number): void {
    const entry = this.#byId.get(id);
    if (!entry)
      throw new WireError(
        'item_truncate_invalid_item_id',
        `Error truncating item: the item with id '${id}' does not exist.`,
        'item_id',
      );
    const part = entry.item.content?.[contentIndex];
    if (entry.item.role !== 'assistant')
      throw invalid('item_id', id, 'an assistant message: only those can be truncated');
    if (part?.type !== 'output_audio') throw invalid('content_index', contentIndex, 'the index of an audio part');
    if (audioEndMs > entry.audioMs) {
      const message = `Audio content of ${entry.audioMs}ms is already shorter than ${audioEndMs}ms`;
      throw new WireError('invalid_value', message, 'audio_end_ms');
    }
    this.change(entry, () => {
      const words = (part.transcript ?? '').split(/(?<=\s)/u);
      const kept = entry.audioMs === 0 ? 0 : Math.floor((words.length * audioEndMs) / entry.audioMs);
      part.transcript = words.slice(0, kept).join('').trimEnd();
      entry.audioMs = audioEndMs;
    });
  }
}
