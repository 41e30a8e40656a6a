// What is heard, in real time: models speak faster than anybody listens, and what was not heard yet can be taken back.

import type { Clock } from '@parley/transport';
import { SAMPLE_RATE } from '../machine-audio.ts';

const TICK_MS = 20;
const SAMPLES_PER_TICK = (SAMPLE_RATE * TICK_MS) / 1000;

interface Piece {
  readonly itemId: string;
  readonly pcm: Int16Array;
  at: number;
}

/** An answer that was cut, and how much of it was heard. */
export interface CutAnswer {
  itemId: string;
  playedMs: number;
}

export class Playout {
  readonly #clock: Clock;
  readonly #heard: (pcm: Int16Array) => void;
  readonly #pieces: Piece[] = [];
  readonly #played = new Map<string, number>();
  #timer: { cancel(): void } | null = null;
  #due = 0;

  /** @param heard takes what is heard now. */
  constructor(clock: Clock, heard: (pcm: Int16Array) => void) {
    this.#clock = clock;
    this.#heard = heard;
  }

  get playing(): boolean {
    return this.#pieces.length > 0;
  }

  add(itemId: string, pcm: Int16Array): void {
    if (pcm.length === 0) return;
    this.#pieces.push({ itemId, pcm, at: 0 });
    if (this.#timer) return;
    this.#due = this.#clock.now();
    this.#tick();
  }

  /** Takes back what was not heard. Null when everything was. */
  cut(): CutAnswer | null {
    const [piece] = this.#pieces;
    this.#pieces.length = 0;
    this.#timer?.cancel();
    this.#timer = null;
    if (!piece) return null;
    return { itemId: piece.itemId, playedMs: ((this.#played.get(piece.itemId) ?? 0) * 1000) / SAMPLE_RATE };
  }

  stop(): void {
    this.cut();
  }

  #tick(): void {
    this.#timer = null;
    // A late timer plays what it missed.
    for (; this.#due <= this.#clock.now() && this.#pieces.length > 0; this.#due += TICK_MS) this.#play();
    if (this.#pieces.length === 0) return;
    this.#timer = this.#clock.after(Math.max(1, this.#due - this.#clock.now()), () => this.#tick());
  }

  #play(): void {
    let left = SAMPLES_PER_TICK;
    for (let piece = this.#pieces[0]; piece && left > 0; piece = this.#pieces[0]) {
      const taken = piece.pcm.subarray(piece.at, piece.at + left);
      piece.at += taken.length;
      left -= taken.length;
      this.#played.set(piece.itemId, (this.#played.get(piece.itemId) ?? 0) + taken.length);
      this.#heard(taken);
      if (piece.at >= piece.pcm.length) this.#pieces.shift();
    }
    // Only the answer that is heard now can be cut.
    if (this.#played.size > 16) this.#played.delete(this.#played.keys().next().value as string);
  }
}
