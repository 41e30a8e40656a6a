// Telephone carriers say what was heard by sending back marks that were put behind each piece of sound.

import type { PlaybackTracker } from './play/tracker.ts';
import { bytesPerMs, type RealtimeAudioFormat } from './settings.ts';

export interface TelephonyMarksOptions {
  tracker: PlaybackTracker;
  /** Of the sound that is sent to the carrier. Default `g711_ulaw`. */
  format?: RealtimeAudioFormat;
  /** Marks that are waited for at a time; older ones count as heard. Default 4096. */
  marksMax?: number;
}

interface Mark {
  itemId: string;
  contentIndex: number;
  ms: number;
}

/**
 * Turns the marks of a carrier into what a {@link PlaybackTracker} knows.
 *
 * @example
 * const tracker = new PlaybackTracker();
 * const marks = new TelephonyMarks({ tracker });
 * session.on('audio', (event) => {
 *   carrier.send({ event: 'media', media: { payload: event.data.toString('base64') } });
 *   carrier.send({ event: 'mark', mark: { name: marks.sent(event) } });
 * });
 * session.on('audio_interrupted', () => {
 *   carrier.send({ event: 'clear' });
 *   marks.cleared();
 * });
 * carrier.on('mark', ({ name }) => marks.played(name));
 */
export class TelephonyMarks {
  readonly #tracker: PlaybackTracker;
  readonly #bytesPerMs: number;
  readonly #max: number;
  /** In the order in which they were sent, which is that in which they are heard. */
  readonly #waiting = new Map<string, Mark>();
  #generation = 0;
  #count = 0;

  constructor(options: TelephonyMarksOptions) {
    this.#tracker = options.tracker;
    this.#bytesPerMs = bytesPerMs(options.format ?? 'g711_ulaw');
    this.#max = options.marksMax ?? 4096;
  }

  /** A piece of sound goes to the carrier. Returns the name of the mark to put behind it. */
  sent(audio: { itemId: string; contentIndex: number; data: Uint8Array }): string {
    const { itemId, contentIndex, data } = audio;
    this.#count += 1;
    const name = `${itemId}:g${this.#generation}:m${this.#count}`;
    this.#waiting.set(name, { itemId, contentIndex, ms: data.length / this.#bytesPerMs });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > this.#max && oldest !== undefined) this.played(oldest);
    return name;
  }

  /** A mark came back: its sound was heard, and all before it. One that was cleared, or is not ours, says nothing. */
  played(name: string): void {
    if (!this.#waiting.has(name)) return;
    for (const [waiting, { itemId, contentIndex, ms }] of this.#waiting) {
      this.#waiting.delete(waiting);
      this.#tracker.onPlayMs(itemId, contentIndex, ms);
      if (waiting === name) return;
    }
  }

  /** The carrier was told to throw away what it has: its marks come back without having been heard. */
  cleared(): void {
    this.#generation += 1;
    this.#waiting.clear();
  }
}
