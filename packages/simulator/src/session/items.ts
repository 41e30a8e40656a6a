import { bytesOf } from '../audio/format.ts';
import type { ClientEvent } from '../wire.ts';
import type { SessionConfig } from './config.ts';
import type { Connection } from './connection.ts';
import type { Conversation, Entry } from './conversation.ts';
import { hear, sendTranscription, type TranscriptionFailure } from './hearing.ts';
import { type CreatedItem, createdItem } from './item-shape.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// The conversation.item events of one session, and what becomes of the sound in user items.

const HEARD_MAX = 256;

export interface ItemsParts {
  connection: Connection;
  conversation: Conversation;
  config: () => SessionConfig;
  /** Waits or fails as the fault plan says. */
  transcriptionFault: () => Promise<TranscriptionFailure | null>;
}

export class Items {
  readonly #parts: ItemsParts;
  readonly heard: string[] = [];

  constructor(parts: ItemsParts) {
    this.#parts = parts;
  }

  /** An entry whose sound, if a user made it, is being listened to. */
  entry({ item, audio, audioMs }: CreatedItem): Entry {
    const entry: Entry = { item, audio, audioMs, hearing: null };
    if (!audio || item.role !== 'user') return entry;
    const failed = (error: unknown) => (entry.failure = { code: 'server_error', message: String(error) });
    entry.hearing = hear(audio, failed).then((hearing) => {
      this.#remark(hearing.text);
      return hearing;
    });
    return entry;
  }

  #remark(text: string): void {
    this.heard.push(text);
    if (this.heard.length > HEARD_MAX) this.heard.shift();
  }

  /** Tells the client of an item, and has it transcribed where the session asks for that. */
  announce(entry: Entry, before: string | null): void {
    for (const type of ['conversation.item.added', 'conversation.item.done']) {
      this.#parts.connection.send({ type, previous_item_id: before, item: entry.item });
    }
    if (entry.hearing && this.#parts.config().audio.input.transcription) void this.#transcribe(entry);
  }

  async #transcribe(entry: Entry): Promise<void> {
    const hearing = await entry.hearing;
    const failure = (await this.#parts.transcriptionFault()) ?? entry.failure ?? null;
    const text = hearing?.text ?? '';
    const part = entry.item.content?.find(({ type }) => type === 'input_audio');
    if (part && !failure) part.transcript = text;
    sendTranscription(this.#parts.connection, entry, text, failure);
  }

  create(event: ClientEvent): void {
    const entry = this.entry(createdItem(event['item'], this.#parts.config().audio.input.format));
    const previous = event['previous_item_id'] ?? undefined;
    if (previous !== undefined && typeof previous !== 'string') throw invalid('previous_item_id', previous, 'a string');
    const before = this.#parts.conversation.insert(entry, previous);
    const { role, content } = entry.item;
    if (role === 'user' && !entry.audio) this.#remark(content?.map((part) => part.text ?? '').join(' ') ?? '');
    this.announce(entry, before);
  }

  retrieve(event: ClientEvent): void {
    const id = idIn(event);
    const entry = this.#parts.conversation.find(id);
    if (!entry) {
      const message = `Error retrieving item: the item with id '${id}' does not exist.`;
      throw new WireError('item_retrieve_invalid_item_id', message, 'item_id');
    }
    const { audio, item } = entry;
    if (!audio) return this.#parts.connection.send({ type: 'conversation.item.retrieved', item });
    // The server's view has the sound in it, as long as it is kept.
    const bytes = bytesOf(audio.pcm, audio.rate, this.#parts.config().audio.input.format);
    const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    const content = item.content?.map((part) => (part.type === 'input_audio' ? { ...part, audio: base64 } : part));
    this.#parts.connection.send({ type: 'conversation.item.retrieved', item: { ...item, content } });
  }

  truncate(event: ClientEvent): void {
    const id = idIn(event);
    const index = event['content_index'] ?? 0;
    const endMs = event['audio_end_ms'];
    if (endMs === undefined) throw missing('audio_end_ms');
    if (!isCount(endMs)) throw invalid('audio_end_ms', endMs, 'an integer of 0 or more');
    if (!isCount(index)) throw invalid('content_index', index, 'an integer of 0 or more');
    this.#parts.conversation.truncate(id, index, endMs);
    this.#parts.connection.send({
      type: 'conversation.item.truncated',
      item_id: id,
      content_index: index,
      audio_end_ms: endMs,
    });
  }

  delete(event: ClientEvent): void {
    const id = idIn(event);
    this.#parts.conversation.delete(id);
    this.#parts.connection.send({ type: 'conversation.item.deleted', item_id: id });
  }
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function idIn(event: ClientEvent): string {
  const id = event['item_id'];
  if (id === undefined) throw missing('item_id');
  if (typeof id !== 'string') throw invalid('item_id', id, 'a string');
  return id;
}
