// The media of a session whose connection changes: one listener, one socket to look at, counts that go on, and what its
// client said kept as long as nobody else knows it.

import { type ModelEvent, newId } from '@parley/core';
import { type Clock, frameType, isPlainAppend } from '@parley/transport';
import { decoded, encoded, numberIn, objectIn, textIn } from '../openai/wire.ts';
import type { MediaCounts, ModelMedia } from '../port.ts';
import { SwitchSocket } from './switch-socket.ts';
import { Unheard } from './unheard.ts';
import { Words } from './words.ts';

type Listener = (frame: Buffer, kind: 'audio' | 'other') => void;

const NOTHING: MediaCounts = { user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 };
const ITEMS_MAX = 256;
/** How long an error that belongs to no frame is held: most often the end of the connection follows it. */
const HELD_MS = 250;

export interface SwitchMediaOptions {
  first: ModelMedia;
  /** Whether the provider says when somebody speaks. */
  detected: () => boolean;
  clock: Clock;
  /** A client cut an answer of a connection that is gone. */
  truncated: (item_id: string, audio_ms: number) => void;
}

export class SwitchMedia implements ModelMedia {
  readonly socket: SwitchSocket;
  readonly unheard: Unheard;
  readonly words = new Words();
  readonly #options: SwitchMediaOptions;
  #current: ModelMedia;
  #before: MediaCounts = NOTHING;
  #listener: Listener | null = null;
  /** An error that may be why the connection ends: then it is not the client's, who stays. */
  #held: { frame: Buffer; timer: { cancel(): void } } | null = null;
  /** There is no connection at the moment. */
  #away = false;
  /** Items that the current connection told of, and those of connections before it. */
  #items = new Set<string>();
  #older = new Set<string>();
  #lastItem: string | undefined;

  constructor(options: SwitchMediaOptions) {
    this.#options = options;
    this.#current = options.first;
    this.socket = new SwitchSocket(options.first.socket);
    this.unheard = new Unheard(options.detected);
  }

  send(frame: Buffer): void {
    if (isPlainAppend(frame)) this.unheard.heard(frame);
    else if (this.#isTruncation(frame)) return;
    else this.unheard.sent(frame);
    if (!this.#away) this.#current.send(frame);
  }

  onFrame(listener: Listener): void {
    this.#listener = listener;
    this.#current.onFrame((frame, kind) => this.#received(frame, kind));
  }

  counts(): MediaCounts {
    return sum(this.#before, this.#current.counts());
  }

  /** An item of the current connection. */
  knows(item_id: string): void {
    if (!this.#items.has(item_id)) this.#lastItem = item_id;
    this.#items = bounded(this.#items.add(item_id));
  }

  /** The newest item that the client knows. */
  get lastItem(): string | undefined {
    return this.#lastItem;
  }

  /** Whether only a connection that is gone knew this item. */
  isOlder(item_id: string): boolean {
    return this.#older.has(item_id) && !this.#items.has(item_id);
  }

  /** The connection is gone. For a client, what was under way ends here. */
  lost(endings: readonly ModelEvent[]): void {
    this.#away = true;
    this.#held?.timer.cancel();
    this.#held = null;
    for (const ending of endings) {
      if (ending.type === 'speech.stopped') {
        const { item_id, audio_ms } = ending;
        this.#tell({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: audio_ms, item_id });
      } else if (ending.type === 'response.completed') {
        this.#tell({ type: 'response.done', response: { ...BROKEN_OFF, id: ending.response_id } });
      }
    }
    this.words.clear();
    this.unheard.hold();
    this.socket.lost();
  }

  /**
   * From now on the frames are those of another connection.
   * @param replayed items that it was told of: the client knows them already, as it knows its session.
   */
  switchTo(next: ModelMedia, replayed: number): void {
    this.#before = this.counts();
    this.#current = next;
    this.#away = false;
    this.#older = bounded(new Set([...this.#older, ...this.#items]));
    this.#items = new Set();
    this.socket.switchTo(next.socket);
    let hidden = replayed;
    let greeted = false;
    next.onFrame((frame, kind) => {
      if (kind === 'other' && (!greeted || hidden > 0)) {
        const type = frameType(frame);
        if (type === 'session.created' || type === 'session.updated') {
          greeted = true;
          return;
        }
        // Nothing is answered before it is told, so these are the first items that there are.
        if (type === 'response.created') hidden = 0;
        if (hidden > 0 && type !== null && ITEM_TYPES.has(type)) {
          if (type === 'conversation.item.done') hidden -= 1;
          return;
        }
      }
      this.#received(frame, kind);
    });
  }

  /** Tells the current connection what nobody heard. */
  again(): void {
    for (const frame of this.unheard.frames()) this.#current.send(frame);
    this.unheard.release();
  }

  /** Nothing more comes: what was held is told. */
  flush(): void {
    const held = this.#held;
    if (!held) return;
    this.#held = null;
    held.timer.cancel();
    this.#listener?.(held.frame, 'other');
  }

  #received(frame: Buffer, kind: 'audio' | 'other'): void {
    if (this.#held) this.flush();
    if (kind === 'other') {
      const type = frameType(frame);
      if (type === 'error' && ofNoFrame(frame)) {
        this.#held = { frame, timer: this.#options.clock.after(HELD_MS, () => this.flush()) };
        return;
      }
      this.words.frame(type, frame);
      if (type === 'conversation.item.added') this.#added(frame);
    }
    this.#listener?.(frame, kind);
  }

  #added(frame: Buffer): void {
    const event = decoded(frame);
    const id = event && textIn(objectIn(event, 'item'), 'id');
    if (id) this.knows(id);
  }

  /** A connection cannot cut what another one said. */
  #isTruncation(frame: Buffer): boolean {
    if (this.#older.size === 0 || frameType(frame) !== 'conversation.item.truncate') return false;
    const event = decoded(frame);
    const item_id = event && textIn(event, 'item_id');
    if (!event || !item_id || !this.isOlder(item_id)) return false;
    const audio_end_ms = numberIn(event, 'audio_end_ms') ?? 0;
    this.#tell({ type: 'conversation.item.truncated', item_id, content_index: 0, audio_end_ms });
    this.#options.truncated(item_id, audio_end_ms);
    return true;
  }

  #tell(event: Record<string, unknown>): void {
    this.#listener?.(encoded({ event_id: newId('event'), ...event }), 'other');
  }
}

/** An answer that nobody will finish, as strict clients want it. */
const BROKEN_OFF = {
  object: 'realtime.response',
  status: 'incomplete',
  status_details: { type: 'incomplete' },
  output: [],
  usage: {
    total_tokens: 0,
    input_tokens: 0,
    output_tokens: 0,
    input_token_details: { text_tokens: 0, audio_tokens: 0, cached_tokens: 0 },
    output_token_details: { text_tokens: 0, audio_tokens: 0 },
  },
  metadata: null,
};

const ITEM_TYPES: ReadonlySet<string> = new Set([
  'conversation.item.added',
  'conversation.item.created',
  'conversation.item.done',
]);

function ofNoFrame(frame: Buffer): boolean {
  const event = decoded(frame);
  return event !== null && textIn(objectIn(event, 'error'), 'event_id') === undefined;
}

function bounded(items: Set<string>): Set<string> {
  for (const item of items) {
    if (items.size <= ITEMS_MAX) break;
    items.delete(item);
  }
  return items;
}

function sum(a: MediaCounts, b: MediaCounts): MediaCounts {
  return {
    user_audio_ms: a.user_audio_ms + b.user_audio_ms,
    reply_audio_ms: a.reply_audio_ms + b.reply_audio_ms,
    frames_in: a.frames_in + b.frames_in,
    frames_out: a.frames_out + b.frames_out,
  };
}
