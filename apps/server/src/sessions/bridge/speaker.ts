// The loudspeaker of one client: the model's answers as they are heard, and silence where the user speaks over them.
//
// P1  After `cut` the next frame is silent, and nothing more of the answers that were cut is played, however late it comes.

import { type CutPart, Playout } from '@parley/media';

export interface SpeakerOptions {
  send: (packet: Uint8Array, timestamp: number, marker: boolean) => void;
  /** The first sound of an answer left. */
  started: (response_id: string) => void;
  /** All of it was heard. */
  stopped: (response_id: string) => void;
}

/** Answers that are remembered as cut. */
const CUT_MAX = 64;

export class Speaker {
  readonly #playout: Playout;
  /** Answers that are being generated. */
  readonly #generating = new Set<string>();
  /** Answers whose sound is not heard to its end. */
  readonly #playing = new Set<string>();
  readonly #cut = new Set<string>();
  /** Frames that did not fit. */
  dropped = 0;

  constructor({ send, started, stopped }: SpeakerOptions) {
    this.#playout = new Playout({
      send,
      onStarted: started,
      onStopped: (response_id) => {
        this.#playing.delete(response_id);
        stopped(response_id);
      },
    });
    this.#playout.start();
  }

  generating(response_id: string): void {
    this.#generating.add(response_id);
  }

  /** Sound of an answer: PCM16 at 24 kHz. */
  push(response_id: string, item_id: string, samples: Int16Array): void {
    if (this.#cut.has(response_id)) return;
    if (!this.#playout.push(response_id, item_id, samples)) this.dropped += 1;
    else if (!this.#playing.has(response_id)) this.#playing.add(response_id);
  }

  /** The answer is complete. */
  finish(response_id: string): void {
    this.#generating.delete(response_id);
    this.#playout.end(response_id);
  }

  /** Whether sound of this answer waits, or is heard. */
  plays(response_id: string): boolean {
    return this.#playing.has(response_id);
  }

  /** Drops what waits: the parts that were not heard to their end, and of how much of each was heard. */
  cut(): readonly CutPart[] {
    const { answers, parts } = this.#playout.cut();
    for (const response_id of [...answers, ...this.#generating]) this.#remember(response_id);
    this.#generating.clear();
    this.#playing.clear();
    return parts;
  }

  close(): void {
    this.#playout.close();
  }

  #remember(response_id: string): void {
    this.#cut.add(response_id);
    if (this.#cut.size <= CUT_MAX) return;
    const [oldest] = this.#cut;
    if (oldest !== undefined) this.#cut.delete(oldest);
  }
}
