import type { TurnDetection } from '../wire.ts';

// Voice activity by energy. The unit of judgement is a frame of 20 ms on the input-audio clock, whatever size the
// chunks have that arrive.

const FRAME_MS = 20;
/** Loud frames in a row that make speech: a click is not a turn. */
const ONSET_FRAMES = 3;
/** `threshold` 1 asks for this RMS (of 1.0); the default 0.5 is about -42 dBFS, above the hiss of a line. */
const RMS_AT_FULL_THRESHOLD = 0.016;
/**
 * Silence that ends a turn under `semantic_vad`. A model that understands would answer a finished sentence sooner and
 * wait up to 8, 4 or 2 s for an unfinished one; energy cannot tell them apart, so each eagerness is one fixed wait.
 */
const EAGERNESS_MS = { low: 1_600, medium: 700, auto: 700, high: 400 };
const SEMANTIC_PREFIX_MS = 300;

/** What happened on the input-audio clock, in samples since the session began. */
export type VadEvent = { kind: 'started'; at: number } | { kind: 'stopped'; at: number };

export function prefixMs(detection: TurnDetection): number {
  return detection.type === 'server_vad' ? (detection.prefix_padding_ms ?? 300) : SEMANTIC_PREFIX_MS;
}

export function silenceMs(detection: TurnDetection): number {
  return detection.type === 'server_vad'
    ? Math.max(FRAME_MS, detection.silence_duration_ms ?? 500)
    : EAGERNESS_MS[detection.eagerness ?? 'auto'];
}

export class Vad {
  #detection: TurnDetection;
  #rate: number;
  /** Sum of squares over the frame that is being filled, and how many samples it holds. */
  #energy = 0;
  #filled = 0;
  /** Where the last whole frame ended, in samples. */
  #clock: number;
  #loudFrames = 0;
  #quietFrames = 0;
  #speaking = false;

  constructor(detection: TurnDetection, rate: number, clock: number) {
    this.#detection = detection;
    this.#rate = rate;
    this.#clock = clock;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** Takes new settings without losing speech that is under way. */
  configure(detection: TurnDetection): void {
    this.#detection = detection;
  }

  /** Forgets speech that is under way: the buffer was committed or cleared by hand. */
  reset(): void {
    this.#speaking = false;
    this.#loudFrames = 0;
    this.#quietFrames = 0;
  }

  /** Judges samples; nearly always the answer is null, and nothing is allocated. */
  push(samples: Int16Array): VadEvent[] | null {
    const frame = (this.#rate * FRAME_MS) / 1000;
    let events: VadEvent[] | null = null;
    let at = 0;
    while (at < samples.length) {
      const end = Math.min(samples.length, at + frame - this.#filled);
      let energy = 0;
      for (let i = at; i < end; i++) {
        const sample = samples[i] as number;
        energy += sample * sample;
      }
      this.#energy += energy;
      this.#filled += end - at;
      at = end;
      if (this.#filled < frame) break;
      this.#clock += frame;
      const event = this.#judge(Math.sqrt(this.#energy / frame) / 32_768);
      this.#energy = 0;
      this.#filled = 0;
      if (event) (events ??= []).push(event);
    }
    return events;
  }

  #judge(rms: number): VadEvent | null {
    const loud = rms > (this.#detection.threshold ?? 0.5) * RMS_AT_FULL_THRESHOLD;
    this.#loudFrames = loud ? this.#loudFrames + 1 : 0;
    this.#quietFrames = loud ? 0 : this.#quietFrames + 1;
    if (!this.#speaking && this.#loudFrames >= ONSET_FRAMES) {
      this.#speaking = true;
      return { kind: 'started', at: this.#clock - (this.#rate * FRAME_MS * ONSET_FRAMES) / 1000 };
    }
    if (this.#speaking && this.#quietFrames * FRAME_MS >= silenceMs(this.#detection)) {
      this.#speaking = false;
      return { kind: 'stopped', at: this.#clock };
    }
    return null;
  }
}
