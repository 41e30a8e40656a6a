// What of an answer was heard: a ledger of samples, driven by whoever really plays them.

import { msOf } from '../pcm.ts';

/** An answer that was cut: how much of its audio was heard, in milliseconds. */
export interface CutItem {
  itemId: string;
  playedMs: number;
  /** What had arrived and was not heard; 0 when the listener was waiting for more. */
  unheardMs: number;
}

interface Item {
  itemId: string;
  samples: number;
  heard: number;
}

export class Playout {
  #items: Item[] = [];

  add(itemId: string, samples: number): void {
    const last = this.#items.at(-1);
    if (last?.itemId === itemId) last.samples += samples;
    else this.#items.push({ itemId, samples, heard: 0 });
  }

  /** So many samples left the loudspeaker. */
  advance(samples: number): void {
    let left = samples;
    for (;;) {
      const head = this.#items[0];
      if (!head) return;
      const step = Math.min(left, head.samples - head.heard);
      head.heard += step;
      left -= step;
      // The last item stays: more of it may come, and its length is what a truncation is measured against.
      if (head.heard < head.samples || this.#items.length === 1) return;
      this.#items.shift();
    }
  }

  /** Samples that were not heard yet. */
  get pending(): number {
    return this.#items.reduce((sum, item) => sum + item.samples - item.heard, 0);
  }

  /** Forgets everything, and tells of each item that was not heard to its end, and of the last one in any case. */
  cut(): CutItem[] {
    const items = this.#items;
    this.#items = [];
    return items.map(({ itemId, heard, samples }) => ({
      itemId,
      playedMs: msOf(heard),
      unheardMs: msOf(samples - heard),
    }));
  }
}
