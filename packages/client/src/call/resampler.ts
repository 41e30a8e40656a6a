// Another sample rate, piece by piece: a windowed sinc with the state that joins one piece to the next.

/** Taps on each side of a sample at the lower of the two rates. */
const HALF_TAPS = 16;

export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
  readonly #half: number;
  #held: Float32Array = new Float32Array(0);
  /** Where in `#held` the next output sample lies. */
  #at: number;

  /** From and to in samples a second. */
  constructor(from: number, to: number) {
    this.#step = from / to;
    // Nothing above half of the lower rate may pass, with a margin for the slope of so short a filter.
    this.#cutoff = Math.min(1, to / from) * 0.94;
    this.#half = Math.ceil(HALF_TAPS * Math.max(1, this.#step));
    this.#held = new Float32Array(this.#half);
    this.#at = this.#half;
  }

  /** The next samples at the new rate. They lag by the filter's half length, which is well below a millisecond. */
  push(samples: Float32Array): Float32Array {
    if (this.#step === 1) return samples;
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    const out: number[] = [];
    while (this.#at + this.#half < held.length) {
      out.push(this.#sample(held, this.#at));
      this.#at += this.#step;
    }
    const done = Math.max(0, Math.floor(this.#at) - this.#half);
    this.#held = held.slice(done);
    this.#at -= done;
    return Float32Array.from(out);
  }

  #sample(held: Float32Array, at: number): number {
    const first = Math.ceil(at - this.#half);
    const last = Math.floor(at + this.#half);
    let sum = 0;
    let weight = 0;
    for (let i = Math.max(0, first); i <= last && i < held.length; i++) {
      const x = i - at;
      const tap = sinc(x * this.#cutoff) * (0.5 + 0.5 * Math.cos((Math.PI * x) / (this.#half + 1)));
      sum += tap * (held[i] as number);
      weight += tap;
    }
    return weight === 0 ? 0 : sum / weight;
  }
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
