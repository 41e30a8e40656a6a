// 24 kHz to 8 kHz for the voice detector: a low-pass filter, and every third sample of it.

const TAPS = 36;
const RATIO = 3;
/** Just below the 4 kHz that are left. */
const CUTOFF = 0.9 / RATIO;

const FILTER = Float32Array.from({ length: TAPS }, (_, tap) => {
  const distance = tap - (TAPS - 1) / 2;
  const x = Math.PI * CUTOFF * distance;
  const window = 0.5 + 0.5 * Math.cos((2 * Math.PI * distance) / TAPS);
  return (Math.sin(x) / x) * CUTOFF * window;
});

export class DownSampler {
  /** The end of the frame before, and the frame. */
  readonly #samples: Int16Array;
  readonly #frame: number;

  /** @param frame samples of one frame at the higher rate; a multiple of 3. */
  constructor(frame: number) {
    this.#frame = frame;
    this.#samples = new Int16Array(TAPS + frame);
  }

  /** Where the next frame is to be written. */
  get input(): Int16Array {
    return this.#samples.subarray(TAPS);
  }

  /** Filters the frame that was written, into `out` from `at` on. */
  run(out: Int16Array, at: number): void {
    const samples = this.#samples;
    const length = this.#frame / RATIO;
    for (let i = 0; i < length; i++) {
      const from = i * RATIO + RATIO;
      let sum = 0;
      for (let tap = 0; tap < TAPS; tap++) sum += (FILTER[tap] as number) * (samples[from + tap] as number);
      out[at + i] = sum > 32_767 ? 32_767 : sum < -32_768 ? -32_768 : sum;
    }
    samples.copyWithin(0, this.#frame);
  }
}
