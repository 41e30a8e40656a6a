// The sound of answers that came and may not have been heard yet.

import type { Clock } from '@parley/transport';
import type { PlaybackTracker } from './tracker.ts';

export interface Part {
  readonly responseId: string;
  readonly itemId: string;
  readonly contentIndex: number;
  /** Bytes that came. */
  bytes: number;
  /** When its first sound came, and whether all of it did. */
  readonly sinceMs: number;
  complete: boolean;
}

export interface HeardPart {
  responseId: string;
  itemId: string;
  contentIndex: number;
  /** Whole milliseconds, at most what came. */
  playedMs: number;
  receivedMs: number;
}

/** Parts that are remembered; older ones have long been heard. */
const PARTS_MAX = 32;
/** The rest of a part that counts as heard: players and clocks differ by as much. */
const SLACK_MS = 20;

export class Playback {
  readonly #clock: Clock;
  readonly #tracker: PlaybackTracker | undefined;
  #bytesPerMs = 48;
  #parts: Part[] = [];

  constructor(clock: Clock, tracker: PlaybackTracker | undefined) {
    this.#clock = clock;
    this.#tracker = tracker;
  }

  setFormat(bytesPerMs: number): void {
    this.#bytesPerMs = bytesPerMs;
  }

  /** Sound came. Returns the part when it is its first. */
  came(responseId: string, itemId: string, contentIndex: number, bytes: number): Part | null {
    const last = this.#parts.at(-1);
    if (last && last.itemId === itemId && last.contentIndex === contentIndex) {
      last.bytes += bytes;
      return null;
    }
    const part: Part = { responseId, itemId, contentIndex, bytes, sinceMs: this.#clock.now(), complete: false };
    this.#parts.push(part);
    if (this.#parts.length > PARTS_MAX) this.#parts.shift();
    return part;
  }

  /** All sound of a part came. */
  completed(itemId: string, contentIndex: number): Part | undefined {
    const part = this.#parts.findLast((one) => one.itemId === itemId && one.contentIndex === contentIndex);
    if (part) part.complete = true;
    return part;
  }

  /** Nothing more comes of an answer. */
  ended(responseId: string): void {
    for (const part of this.#parts) if (part.responseId === responseId) part.complete = true;
  }

  receivedMs(itemId: string, contentIndex: number): number {
    const part = this.#parts.findLast((one) => one.itemId === itemId && one.contentIndex === contentIndex);
    return part ? part.bytes / this.#bytesPerMs : 0;
  }

  /**
   * What is not heard to its end, in order of playing: the part that is being heard, and those that wait behind it.
   * @param responseId only of this answer.
   */
  unheard(responseId?: string): HeardPart[] {
    const now = this.#clock.now();
    const result: HeardPart[] = [];
    let freeMs = 0;
    for (const part of this.#parts) {
      const receivedMs = part.bytes / this.#bytesPerMs;
      // One part is played after the other, and none before it came.
      const beganMs = Math.max(part.sinceMs, freeMs);
      freeMs = beganMs + receivedMs;
      const heard = this.#tracker ? this.#tracker.heardMs(part.itemId, part.contentIndex) : now - beganMs;
      const playedMs = Math.min(Math.floor(receivedMs), Math.max(0, Math.floor(heard)));
      const over = part.complete && playedMs + SLACK_MS >= receivedMs;
      if (over || (responseId !== undefined && part.responseId !== responseId)) continue;
      const { itemId, contentIndex } = part;
      result.push({ responseId: part.responseId, itemId, contentIndex, playedMs, receivedMs: Math.floor(receivedMs) });
    }
    return result;
  }

  /** Milliseconds until everything that came of an answer is heard. */
  leftMs(responseId: string): number {
    return this.unheard(responseId).reduce((left, part) => left + part.receivedMs - part.playedMs, 0);
  }

  /** Milliseconds that were heard of an answer. */
  heardMs(responseId: string): number {
    let received = 0;
    for (const part of this.#parts) if (part.responseId === responseId) received += part.bytes / this.#bytesPerMs;
    return Math.max(0, Math.floor(received - this.leftMs(responseId)));
  }

  /** The player was emptied: nothing of these answers is heard any more. */
  emptied(responseIds: ReadonlySet<string>): void {
    this.#parts = this.#parts.filter((part) => !responseIds.has(part.responseId));
    this.#tracker?.onInterrupted();
  }

  clear(): void {
    this.#parts = [];
  }
}
