// Cutting an answer: what was heard of it stays, the rest leaves the player, the conversation and the history.
//
// I1  Only what was not heard is cut, to the millisecond that the player knows; never more than came.
// I2  What still comes of an answer that was cut is not delivered.
// I3  A cut may be meant for one answer alone; another one that plays or is generated is not touched.

import { heardText, newId } from '@parley/core';
import type { EventHub } from './event-hub.ts';
import type { History } from './history/history.ts';
import { textOf } from './history/item.ts';
import type { ModelLink } from './link/link.ts';
import type { Sends } from './link/sends.ts';
import type { HeardPart, Playback } from './play/playback.ts';

export interface InterruptionsOptions {
  hub: EventHub;
  history: History;
  playback: Playback;
  sends: Sends;
  link: () => ModelLink;
}

/** Answers and items that are remembered as cut. */
const REMEMBERED = 256;

export class Interruptions {
  readonly #options: InterruptionsOptions;
  readonly #responses = new Set<string>();
  readonly #items = new Set<string>();

  constructor(options: InterruptionsOptions) {
    this.#options = options;
  }

  isCut(responseId: string): boolean {
    return this.#responses.size > 0 && this.#responses.has(responseId);
  }

  wasCut(itemId: string): boolean {
    return this.#items.has(itemId);
  }

  /** The answer is over: nothing more comes of it, and a replay of its id would be another one. */
  over(responseId: string): void {
    this.#responses.delete(responseId);
  }

  /** Nothing that still comes of this answer is delivered. */
  silence(responseId: string): void {
    remember(this.#responses, responseId);
  }

  /**
   * Empties the player and cuts what was not heard of it.
   * @param only the one answer that is meant.
   */
  cut(only?: string): HeardPart[] {
    const { hub, playback } = this.#options;
    const parts = playback.unheard(only);
    for (const part of parts) this.#truncate(part);
    playback.emptied(new Set(parts.map(({ responseId }) => responseId)));
    for (const { itemId, contentIndex, responseId, playedMs } of parts) {
      hub.emit({ type: 'audio_interrupted', itemId, contentIndex, responseId, playedMs });
    }
    return parts;
  }

  #truncate({ itemId, contentIndex, playedMs, receivedMs }: HeardPart): void {
    const { history, link, sends } = this.#options;
    const item = history.item(itemId);
    remember(this.#items, itemId);
    history.cut(itemId, contentIndex, heardText(item ? textOf(item) : '', playedMs, receivedMs));
    // After a new connection the model knows the words alone, and sound that is not there cannot be cut.
    if (!link().truncates || link().replayed(itemId)) return;
    const event_id = newId('event');
    const at = { item_id: itemId, content_index: contentIndex };
    sends.expect(event_id, `truncated:${itemId}`).catch(() => {
      // Some providers cannot cut a part of which nothing was heard. It has no place in the conversation then.
      if (playedMs === 0) link().send({ type: 'delete_item', item_id: itemId });
    });
    link().sendEvent({ type: 'conversation.item.truncate', event_id, ...at, audio_end_ms: playedMs });
  }
}

function remember(ids: Set<string>, id: string): void {
  if (ids.size >= REMEMBERED) for (const oldest of ids) if (ids.delete(oldest)) break;
  ids.add(id);
}
