import { resample } from '@parley/transport/audio';

// The caller's sound, at whatever rate it comes, as the 24 kHz that sessions hear; pieces are joined without a seam.

const RATE = 24_000;
/** Samples on each side that the filter looks at, and more. */
const MARGIN = 64;

export class InputAudio {
  #rate = RATE;
  #held = new Int16Array(0);

  /** The next piece at 24 kHz. */
  push(pcm: Buffer, rate: number): Buffer {
    if (rate === RATE) return pcm;
    if (rate !== this.#rate) {
      this.#rate = rate;
      this.#held = new Int16Array(2 * MARGIN);
    }
    const samples = new Int16Array(this.#held.length + (pcm.length >> 1));
    samples.set(this.#held);
    for (let i = 0; i < pcm.length >> 1; i++) samples[this.#held.length + i] = pcm.readInt16LE(i * 2);
    // Whole periods of the two rates only, so that every piece begins at the same phase.
    const period = rate / divisor(rate, RATE);
    const fresh = Math.floor((samples.length - 2 * MARGIN) / period) * period;
    if (fresh <= 0) {
      this.#held = samples;
      return Buffer.alloc(0);
    }
    const whole = resample(samples.subarray(0, fresh + 2 * MARGIN), rate, RATE);
    const from = Math.round((MARGIN * RATE) / rate);
    const out = whole.subarray(from, from + (fresh * RATE) / rate);
    this.#held = samples.slice(fresh);
    return Buffer.from(out.buffer, out.byteOffset, out.byteLength);
  }
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
