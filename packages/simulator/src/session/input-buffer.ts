import { newId } from '@parley/core';
import { rateOf } from '../audio/format.ts';
import type { AudioFormat, TurnDetection } from '../wire.ts';
import { AudioChunks } from './audio-chunks.ts';
import { prefixMs, Vad } from './vad.ts';

// The input audio buffer: what was appended and not committed, and what the voice activity detector makes of it.

/** Audio shorter than this cannot be committed by hand. */
export const COMMIT_MS_MIN = 100;
/** Silence kept behind the detector, so that the prefix of the next turn is there. */
const SILENCE_KEPT_MS = 6_000;

/** A stretch of the input that becomes a user item. */
export interface CommittedAudio {
  itemId: string;
  pcm: Int16Array;
  rate: number;
}

export type InputEvent =
  | { kind: 'speech_started'; itemId: string; audioStartMs: number }
  | { kind: 'speech_stopped'; itemId: string; audioEndMs: number; turn: CommittedAudio };

export class InputBuffer {
  #format: AudioFormat;
  #chunks = new AudioChunks();
  #vad: Vad | null = null;
  #detection: TurnDetection | null = null;
  /** Milliseconds of the session's clock before the format last changed. */
  #clockBaseMs = 0;
  /** The turn that is being spoken: its future item, and where it starts. */
  #turn: { itemId: string; start: number } | null = null;
  readonly #lengthMsMax: number;

  constructor(format: AudioFormat, detection: TurnDetection | null, lengthMsMax: number) {
    this.#format = format;
    this.#lengthMsMax = lengthMsMax;
    this.configure(format, detection);
  }

  get speaking(): boolean {
    return this.#turn !== null;
  }

  /** Milliseconds of audio that arrived since the session began. */
  get clockMs(): number {
    return Math.round(this.#clockBaseMs + this.#toMs(this.#chunks.end));
  }

  /** Milliseconds that wait to be committed. */
  get lengthMs(): number {
    return this.#toMs(this.#chunks.length);
  }

  configure(format: AudioFormat, detection: TurnDetection | null): void {
    if (format.type !== this.#format.type) {
      // What waits is in the old format and cannot be mixed with the new one.
      this.#clockBaseMs = this.clockMs;
      this.#chunks = new AudioChunks();
      this.#vad = null;
      this.#turn = null;
    }
    this.#format = format;
    this.#detection = detection;
    if (!detection) {
      this.#vad = null;
      this.#turn = null;
    } else if (this.#vad) this.#vad.configure(detection);
    else this.#vad = new Vad(detection, rateOf(format), this.#chunks.end);
  }

  /** Takes audio. Returns null when nothing happened, 'full' when the audio was refused. */
  append(samples: Int16Array): InputEvent[] | 'full' | null {
    if (!this.#vad && this.lengthMs + this.#toMs(samples.length) > this.#lengthMsMax) return 'full';
    this.#chunks.push(samples);
    if (!this.#vad || !this.#detection) return null;
    const heard = this.#vad.push(samples);
    if (!heard) {
      if (!this.#turn) this.#chunks.dropBefore(this.#chunks.end - this.#toSamples(SILENCE_KEPT_MS));
      else if (this.lengthMs > this.#lengthMsMax) {
        this.#vad.reset();
        return [this.#stop(this.#chunks.end)];
      }
      return null;
    }
    return heard.flatMap((event) =>
      event.kind === 'started' ? [this.#start(event.at)] : this.#turn ? [this.#stop(event.at)] : [],
    );
  }

  #start(at: number): InputEvent {
    const start = Math.max(this.#chunks.start, at - this.#toSamples(prefixMs(this.#detection as TurnDetection)));
    this.#turn = { itemId: newId('item'), start };
    return { kind: 'speech_started', itemId: this.#turn.itemId, audioStartMs: this.#offsetMs(start) };
  }

  #stop(end: number): InputEvent {
    const { itemId, start } = this.#turn as { itemId: string; start: number };
    const turn = { itemId, pcm: this.#chunks.slice(start, end), rate: rateOf(this.#format) };
    this.#chunks.dropBefore(end);
    this.#turn = null;
    return { kind: 'speech_stopped', itemId, audioEndMs: this.#offsetMs(end), turn };
  }

  /** Commits everything by hand; null when there is less than `COMMIT_MS_MIN`. */
  commit(): CommittedAudio | null {
    if (this.lengthMs < COMMIT_MS_MIN) return null;
    const itemId = this.#turn?.itemId ?? newId('item');
    const pcm = this.#chunks.slice(this.#chunks.start, this.#chunks.end);
    this.clear();
    return { itemId, pcm, rate: rateOf(this.#format) };
  }

  clear(): void {
    this.#chunks.dropBefore(this.#chunks.end);
    this.#turn = null;
    this.#vad?.reset();
  }

  #toMs(samples: number): number {
    return (samples * 1000) / rateOf(this.#format);
  }

  #toSamples(ms: number): number {
    return Math.round((ms * rateOf(this.#format)) / 1000);
  }

  #offsetMs(point: number): number {
    return Math.round(this.#clockBaseMs + this.#toMs(point));
  }
}
