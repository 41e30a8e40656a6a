// Another sample rate, piece by piece: a windowed sinc with the state that joins one piece to the next.

/** Taps on each side of a sample at the lower of the two rates. */
const HALF_TAPS = 16;
/** Points of the filter's table for each sample; between them a straight line is near enough for 16 bits of speech. */
const POINTS = 512;

export class Resampler {
  readonly #step: number;
  readonly #half: number;
  /** The right half of the filter, `POINTS` to a sample. */
  readonly #filter: Float32Array;
  #held: Float32Array = new Float32Array(0);
  /** Where in `#held` the next output sample lies. */
  #at: number;

  /** From and to in samples a second. */
  constructor(from: number, to: number) {
    this.#step = from / to;
    // Nothing above half of the lower rate may pass, with a margin for the slope of so short a filter.
    const cutoff = Math.min(1, to / from) * 0.94;
    const half = Math.ceil(HALF_TAPS * Math.max(1, this.#step));
    this.#half = half;
    this.#filter = Float32Array.from({ length: (half + 1) * POINTS + 1 }, (_, i) => {
      const x = i / POINTS;
      return sinc(x * cutoff) * (0.5 + 0.5 * Math.cos((Math.PI * x) / (half + 1)));
    });
    this.#held = new Float32Array(this.#half);
    this.#at = this.#half;
  }

  /** The next samples at the new rate. They lag by the filter's half length, which is well below a millisecond. */
  push(samples: Float32Array): Float32Array {
    if (this.#step === 1) return samples;
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const count = Math.max(0, Math.ceil((held.length - this.#half - this.#at) / this.#step));
    const out = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      out[i] = this.#sample(held, this.#at);
      this.#at += this.#step;
    }
    const done = Math.max(0, Math.floor(this.#at) - this.#half);
    this.#held = held.slice(done);
    this.#at -= done;
    return out;
  }

  #sample(held: Float32Array, at: number): number {
    const filter = this.#filter;
    const first = Math.max(0, Math.ceil(at - this.#half));
    const last = Math.min(held.length - 1, Math.floor(at + this.#half));
    let sum = 0;
    let weight = 0;
    for (let i = first; i <= last; i++) {
      const x = Math.abs(i - at) * POINTS;
      const point = Math.floor(x);
      const low = filter[point] as number;
      const tap = low + ((filter[point + 1] as number) - low) * (x - point);
      sum += tap * (held[i] as number);
      weight += tap;
    }
    return weight === 0 ? 0 : sum / weight;
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
