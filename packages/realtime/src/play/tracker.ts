// What was really heard of an answer. A player that knows feeds a tracker; where none does, a clock has to do.

import { bytesPerMs, type RealtimeAudioFormat } from '../settings.ts';

export interface PlaybackPosition {
  itemId: string;
  contentIndex: number;
  /** Milliseconds of this part that were heard. */
  elapsedMs: number;
}

/**
 * Is fed by whoever plays the sound, and asked by the session when an answer is cut.
 *
 * @example
 * const tracker = new PlaybackTracker();
 * session.on('audio', ({ itemId, contentIndex, data }) => player.play(data, () => tracker.onPlayBytes(itemId, contentIndex, data)));
 */
export class PlaybackTracker {
  readonly #heard = new Map<string, number>();
  #bytesPerMs = 48;
  #position: PlaybackPosition | null = null;

  /** The format of what is played; the session says it when it is connected. */
  setAudioFormat(format: RealtimeAudioFormat | Record<string, unknown>): void {
    this.#bytesPerMs = bytesPerMs(format);
  }

  /** So many milliseconds more of a part were heard. */
  onPlayMs(itemId: string, contentIndex: number, ms: number): void {
    if (!(ms > 0)) return;
    const same = this.#position?.itemId === itemId && this.#position.contentIndex === contentIndex;
    const elapsedMs = ms + (same ? (this.#position?.elapsedMs ?? 0) : 0);
    this.#position = { itemId, contentIndex, elapsedMs };
    this.#heard.set(`${itemId} ${contentIndex}`, elapsedMs);
    // Only the answer that is being heard is ever asked for, and it has few parts.
    if (this.#heard.size > 64) for (const oldest of this.#heard.keys()) if (this.#heard.delete(oldest)) break;
  }

  /** So many bytes more of a part were heard. */
  onPlayBytes(itemId: string, contentIndex: number, bytes: Uint8Array | number): void {
    this.onPlayMs(itemId, contentIndex, (typeof bytes === 'number' ? bytes : bytes.length) / this.#bytesPerMs);
  }

  /** The player was emptied. */
  onInterrupted(): void {
    this.#position = null;
    this.#heard.clear();
  }

  /** Where the player is; null when nothing was heard since it was emptied. */
  getState(): PlaybackPosition | null {
    return this.#position;
  }

  heardMs(itemId: string, contentIndex: number): number {
    return this.#heard.get(`${itemId} ${contentIndex}`) ?? 0;
  }
}
