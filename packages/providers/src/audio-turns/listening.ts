// The user's audio until it is a turn: what came and was not committed, and what the detector makes of it.

import { newId, type TurnDetection } from '@parley/core';
import type { FvadModule } from '@echogarden/fvad-wasm';
import { BYTES_PER_MS } from './pcm.ts';
import { prefixSamples, Vad } from './vad.ts';

/** Less than this cannot be committed by hand. */
export const COMMIT_MS_MIN = 100;
/** Silence that is kept, so that the padding before the next turn is there. */
const SILENCE_KEPT_BYTES = 6_000 * BYTES_PER_MS;

/** A stretch of the user's audio. */
export interface SpokenTurn {
  item_id: string;
  pcm: Buffer;
}

export type Heard =
  | { kind: 'started'; item_id: string; audio_ms: number }
  | { kind: 'stopped'; item_id: string; audio_ms: number; turn: SpokenTurn };

export class Listening {
  readonly #module: FvadModule;
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  /** Bytes since the session began, where what is kept starts and where it ends. */
  #start = 0;
  #end = 0;
  #detection: TurnDetection | null = null;
  #vad: Vad | null = null;
  #turn: { item_id: string; start: number } | null = null;

  /** @param turn_ms_max of a turn; speech that goes on is committed there. */
  constructor(module: FvadModule, detection: TurnDetection | null, turn_ms_max: number) {
    this.#module = module;
    this.#bytesMax = turn_ms_max * BYTES_PER_MS;
    this.configure(detection);
  }

  get speaking(): boolean {
    return this.#turn !== null;
  }

  /** Milliseconds that wait to be committed. */
  get waitingMs(): number {
    return (this.#end - this.#start) / BYTES_PER_MS;
  }

  get clockMs(): number {
    return Math.round(this.#end / BYTES_PER_MS);
  }

  configure(detection: TurnDetection | null): void {
    this.#detection = detection;
    if (detection === null) {
      this.#vad?.free();
      this.#vad = null;
      this.#turn = null;
    } else if (this.#vad) this.#vad.configure(detection);
    else this.#vad = new Vad(this.#module, detection, this.#end >> 1);
  }

  /** Takes audio. Null is nothing new; `full` is audio that was refused, because nobody commits what came before. */
  append(pcm: Buffer): Heard[] | 'full' | null {
    if (!this.#vad && this.#end - this.#start + pcm.length > this.#bytesMax) return 'full';
    this.#chunks.push(pcm);
    this.#end += pcm.length;
    if (!this.#vad) return null;
    const events = this.#vad.push(pcm);
    if (events)
      return events.flatMap(({ kind, at }) => (kind === 'started' ? [this.#begin(at * 2)] : this.#stop(at * 2)));
    if (!this.#turn) this.#dropBefore(this.#end - SILENCE_KEPT_BYTES);
    else if (this.#end - this.#turn.start > this.#bytesMax) {
      this.#vad.reset();
      return this.#stop(this.#end);
    }
    return null;
  }

  /** Commits everything by hand; null when that is less than `COMMIT_MS_MIN`. */
  commit(): SpokenTurn | null {
    if (this.waitingMs < COMMIT_MS_MIN) return null;
    const turn = { item_id: this.#turn?.item_id ?? newId('item'), pcm: this.#slice(this.#start, this.#end) };
    this.clear();
    return turn;
  }

  clear(): void {
    this.#dropBefore(this.#end);
    this.#turn = null;
    this.#vad?.reset();
  }

  free(): void {
    this.#vad?.free();
    this.#vad = null;
    this.#chunks = [];
  }

  #begin(at: number): Heard {
    const detection = this.#detection as TurnDetection;
    const start = Math.max(this.#start, at - prefixSamples(detection) * 2);
    this.#turn = { item_id: newId('item'), start };
    return { kind: 'started', item_id: this.#turn.item_id, audio_ms: Math.round(start / BYTES_PER_MS) };
  }

  #stop(end: number): Heard[] {
    if (!this.#turn) return [];
    const { item_id, start } = this.#turn;
    const turn = { item_id, pcm: this.#slice(start, end) };
    this.#dropBefore(end);
    this.#turn = null;
    return [{ kind: 'stopped', item_id, audio_ms: Math.round(end / BYTES_PER_MS), turn }];
  }

  #slice(from: number, to: number): Buffer {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, from - this.#start), to - this.#start);
  }

  #dropBefore(point: number): void {
    let first = this.#chunks[0];
    while (first && this.#start + first.length <= point) {
      this.#start += first.length;
      this.#chunks.shift();
      first = this.#chunks[0];
    }
    if (first && this.#start < point) {
      this.#chunks[0] = first.subarray(point - this.#start);
      this.#start = point;
    }
  }
}
