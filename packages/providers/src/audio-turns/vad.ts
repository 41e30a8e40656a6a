// Who speaks when. A frame of 20 ms is speech when it is loud enough and the voice detector of WebRTC hears a voice in
// it. The detector alone takes hiss after speech for speech, the loudness alone takes a fan for it. What is very loud is
// speech whatever the detector says: it is what a person at the far end would stop for.

import load, { type FvadModule } from '@echogarden/fvad-wasm';
import { ParleyError, type TurnDetection } from '@parley/core';
import { DownSampler } from './down-sampler.ts';
import { RATE } from './pcm.ts';

const FRAME_MS = 20;
const FRAME = (RATE * FRAME_MS) / 1000;
const VOICE_RATE = 8_000;
const VOICE_FRAME = (VOICE_RATE * FRAME_MS) / 1000;
/** Of the detector's four modes the second: it errs on the side of hearing a voice. */
const VOICE_MODE = 1;
/** Frames of speech in a row that begin a turn: a click is none. */
const ONSET_FRAMES = 3;
/** `threshold` 1 asks for this RMS (of 1.0); the default 0.5 is -42 dBFS, above the hiss of a line. */
const RMS_AT_FULL_THRESHOLD = 0.016;
/** From here on (-20 dBFS) loudness alone is enough. */
const RMS_CERTAIN = 0.1;

const DEFAULTS = { threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 };

/** Where on the clock of the user's audio, in samples since the session began. */
export type VadEvent = { kind: 'started'; at: number } | { kind: 'stopped'; at: number };

type VadSettings = typeof DEFAULTS;

function settingsOf(detection: TurnDetection): VadSettings {
  if (detection.type !== 'server_vad') return DEFAULTS;
  return {
    threshold: detection.threshold ?? DEFAULTS.threshold,
    prefix_padding_ms: detection.prefix_padding_ms ?? DEFAULTS.prefix_padding_ms,
    silence_duration_ms: detection.silence_duration_ms ?? DEFAULTS.silence_duration_ms,
  };
}

/** Samples before the first loud one that belong to the turn. */
export function prefixSamples(detection: TurnDetection): number {
  return (settingsOf(detection).prefix_padding_ms * RATE) / 1000;
}

let module: Promise<FvadModule> | undefined;

/** The detector's module, loaded once in a process. */
export function voiceModule(): Promise<FvadModule> {
  return (module ??= load());
}

export class Vad {
  readonly #module: FvadModule;
  readonly #handle: number;
  readonly #memory: number;
  readonly #down = new DownSampler(FRAME);
  #settings: VadSettings;
  /** Samples in the frame that is being filled, and the sum of their squares. */
  #filled = 0;
  #energy = 0;
  /** Where the last whole frame ended. */
  #clock: number;
  #run = { speech: 0, silence: 0 };
  #speaking = false;

  /** @param clock samples that came before. */
  constructor(module: FvadModule, detection: TurnDetection, clock: number) {
    this.#module = module;
    this.#settings = settingsOf(detection);
    this.#clock = clock;
    this.#handle = module._fvad_new();
    this.#memory = module._malloc(VOICE_FRAME * 2);
    if (this.#handle === 0 || this.#memory === 0) {
      throw new ParleyError('resource_exhausted', 'no memory is left for another voice detector');
    }
    module._fvad_set_mode(this.#handle, VOICE_MODE);
    module._fvad_set_sample_rate(this.#handle, VOICE_RATE);
  }

  /** Takes new settings without losing speech that is under way. */
  configure(detection: TurnDetection): void {
    this.#settings = settingsOf(detection);
  }

  /** Forgets speech that is under way: the buffer was committed or cleared by hand. */
  reset(): void {
    this.#speaking = false;
    this.#run = { speech: 0, silence: 0 };
  }

  /** Judges 16-bit samples, in chunks of any size. Nearly always the answer is null, and nothing is allocated. */
  push(pcm: Buffer): VadEvent[] | null {
    let events: VadEvent[] | null = null;
    const frame = this.#down.input;
    for (let at = 0; at + 1 < pcm.length; at += 2) {
      const sample = pcm.readInt16LE(at);
      frame[this.#filled] = sample;
      this.#filled += 1;
      this.#energy += sample * sample;
      if (this.#filled < FRAME) continue;
      const event = this.#judge();
      if (event) (events ??= []).push(event);
    }
    return events;
  }

  #judge(): VadEvent | null {
    const rms = Math.sqrt(this.#energy / FRAME) / 32_768;
    this.#energy = 0;
    this.#filled = 0;
    this.#clock += FRAME;
    // The detector follows the noise of the line, so it is shown every frame.
    const voice = this.#voice();
    const speech = rms > this.#settings.threshold * RMS_AT_FULL_THRESHOLD && (voice || rms > RMS_CERTAIN);
    this.#run.speech = speech ? this.#run.speech + 1 : 0;
    this.#run.silence = speech ? 0 : this.#run.silence + 1;
    if (!this.#speaking && this.#run.speech >= ONSET_FRAMES) {
      this.#speaking = true;
      return { kind: 'started', at: this.#clock - ONSET_FRAMES * FRAME };
    }
    if (this.#speaking && this.#run.silence * FRAME_MS >= Math.max(FRAME_MS, this.#settings.silence_duration_ms)) {
      this.#speaking = false;
      return { kind: 'stopped', at: this.#clock };
    }
    return null;
  }

  #voice(): boolean {
    // Looked up anew: the memory of the module moves when it grows.
    this.#down.run(this.#module.HEAP16, this.#memory >> 1);
    return this.#module._fvad_process(this.#handle, this.#memory, VOICE_FRAME) === 1;
  }

  free(): void {
    this.#module._fvad_free(this.#handle);
    this.#module._free(this.#memory);
  }
}
