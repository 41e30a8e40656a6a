import { Pcm16Resampler } from '@parley/transport/audio';

// The caller's sound, at whatever rate it comes, as the 24 kHz that sessions hear.

const RATE = 24_000;

export class InputAudio {
  #rate = RATE;
  #resampler = new Pcm16Resampler(RATE, RATE);

  /** The next piece at 24 kHz. */
  push(pcm: Buffer, rate: number): Buffer {
    if (rate === RATE) return pcm;
    if (rate !== this.#rate) {
      this.#rate = rate;
      this.#resampler = new Pcm16Resampler(rate, RATE);
    }
    return this.#resampler.push(pcm);
  }
}
