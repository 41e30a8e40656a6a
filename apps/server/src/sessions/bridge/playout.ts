// The model's sound on its way to the ear of one client: what waits, what was heard of it, and the cut.
//
// P1  After `cut` the next frame is silent, and nothing more of the answers that were cut is played.
// P2  What was heard is counted in samples that left, by answer.

import { OpusOut } from '@parley/media';
import type { Clock } from '@parley/transport';

export interface PlayoutOptions {
  send: (packet: Uint8Array, timestamp: number, marker: boolean) => void;
  /** The first sound of an answer left. */
  started: (response_id: string) => void;
  /** All of it was heard. */
  stopped: (response_id: string) => void;
  clock?: Clock | undefined;
}

/** One item of an answer, on the time line of everything that is played. */
interface Segment {
  response_id: string;
  item_id: string;
  begin_ms: number;
  end_ms: number;
  started: boolean;
  /** Nothing more of it will come. */
  done: boolean;
}

export interface Heard {
  response_id: string;
  item_id: string;
  heard_ms: number;
  started: boolean;
}

/** Answers that are remembered as cut. */
const CUT_MAX = 64;

export class Playout {
  readonly #options: PlayoutOptions;
  readonly #out: OpusOut;
  #segments: Segment[] = [];
  /** Answers whose late sound is not played. */
  readonly #cut = new Set<string>();
  /** Answers that are being generated. */
  readonly #generating = new Set<string>();
  /** Sound that did not fit. */
  dropped = 0;

  constructor(options: PlayoutOptions) {
    this.#options = options;
    this.#out = new OpusOut({
      send: (packet, timestamp, marker) => {
        options.send(packet, timestamp, marker);
        this.#advance();
      },
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    });
  }

  start(): void {
    this.#out.start();
  }

  generating(response_id: string): void {
    this.#generating.add(response_id);
  }

  /** Sound of an answer: PCM16 at 24 kHz. */
  push(response_id: string, item_id: string, samples: Int16Array): void {
    if (this.#cut.has(response_id)) return;
    const begin_ms = this.#out.pushedMs;
    if (!this.#out.push(samples)) {
      this.dropped += 1;
      return;
    }
    const last = this.#segments.at(-1);
    const end_ms = this.#out.pushedMs;
    if (last?.item_id === item_id && last.response_id === response_id) {
      last.end_ms = end_ms;
      last.done = false;
    } else this.#segments.push({ response_id, item_id, begin_ms, end_ms, started: false, done: false });
  }

  /** The sound of an item, or the whole answer, is complete. */
  finish(response_id: string, item_id?: string): void {
    if (item_id === undefined) this.#generating.delete(response_id);
    for (const segment of this.#segments) {
      if (segment.response_id === response_id && (item_id === undefined || segment.item_id === item_id))
        segment.done = true;
    }
    this.#out.end();
    this.#advance();
  }

  /** Whether sound of this answer waits, or is heard. */
  plays(response_id: string): boolean {
    return this.#segments.some((segment) => segment.response_id === response_id);
  }

  /** Drops what waits. Returns what was heard of each item that was not heard to its end. */
  cut(): Heard[] {
    const now_ms = this.#out.playedMs;
    this.#out.clear();
    const cut = this.#segments.map(({ response_id, item_id, begin_ms, end_ms, started }) => ({
      response_id,
      item_id,
      heard_ms: Math.max(0, Math.min(end_ms, now_ms) - begin_ms),
      started,
    }));
    for (const { response_id } of cut) this.#remember(response_id);
    for (const response_id of this.#generating) this.#remember(response_id);
    this.#segments = [];
    return cut;
  }

  close(): void {
    this.#segments = [];
    this.#out.close();
  }

  #advance(): void {
    const now_ms = this.#out.playedMs;
    for (let first = this.#segments[0]; first; first = this.#segments[0]) {
      if (!first.started && now_ms > first.begin_ms) {
        first.started = true;
        this.#options.started(first.response_id);
      }
      if (!first.done || now_ms < first.end_ms || this.#segments[0] !== first) return;
      this.#segments.shift();
      // An answer of several items is heard when the last of them was.
      if (!this.plays(first.response_id)) this.#options.stopped(first.response_id);
      else if (this.#segments[0]) this.#segments[0].started = true;
    }
  }

  #remember(response_id: string): void {
    this.#generating.delete(response_id);
    this.#cut.add(response_id);
    if (this.#cut.size <= CUT_MAX) return;
    const [oldest] = this.#cut;
    if (oldest !== undefined) this.#cut.delete(oldest);
  }
}
