// PCM16 at another rate, piece by piece: a polyphase windowed sinc, whose state joins one piece to the next.

/** Half the filter's length, in periods of the slower rate: images are about 70 dB down. */
const HALF_WIDTH = 12;

export class Pcm16Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #taps: number;
  readonly #phases: Float32Array[];
  /** The last `taps - 1` samples of the piece before, and then the piece. */
  #held: Float32Array;
  /** Where the next output lies: in steps of `1 / up` samples after the start of `#held`. */
  #at = 0;

  /** @param from samples a second, as is `to`; both whole. */
  constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to);
    this.#up = to / divisor;
    this.#down = from / divisor;
    // The slope lies inside the band of the slower rate.
    const cutoff = Math.min(1, to / from) * 0.95;
    const half = Math.ceil(HALF_WIDTH / cutoff);
    this.#taps = half * 2;
    this.#phases = Array.from({ length: this.#up }, (_, phase) => phaseOf(phase / this.#up, half, cutoff));
    this.#held = new Float32Array(this.#taps - 1);
  }

  /** The next samples, little-endian. They lag by half of the filter, less than a millisecond of speech. */
  push(pcm: Buffer): Buffer {
    const taps = this.#taps;
    const samples = pcm.length >> 1;
    const kept = this.#held.length;
    const held = new Float32Array(kept + samples);
    held.set(this.#held);
    for (let i = 0; i < samples; i++) held[kept + i] = pcm.readInt16LE(i * 2);
    const last = (held.length - taps) * this.#up;
    const count = last < this.#at ? 0 : Math.floor((last - this.#at) / this.#down) + 1;
    const out = Buffer.allocUnsafe(count * 2);
    for (let i = 0; i < count; i++) {
      const phase = this.#at % this.#up;
      const first = (this.#at - phase) / this.#up;
      const filter = this.#phases[phase] as Float32Array;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += (held[first + tap] as number) * (filter[tap] as number);
      out.writeInt16LE(Math.max(-32_768, Math.min(32_767, Math.round(sum))), i * 2);
      this.#at += this.#down;
    }
    const done = Math.min(held.length, Math.floor(this.#at / this.#up));
    this.#held = held.slice(done);
    this.#at -= done * this.#up;
    return out;
  }
}

function phaseOf(offset: number, half: number, cutoff: number): Float32Array {
  const filter = new Float32Array(half * 2);
  let sum = 0;
  for (let tap = 0; tap < filter.length; tap++) {
    const distance = tap - half + 1 - offset;
    const x = Math.PI * cutoff * distance;
    const sinc = x === 0 ? 1 : Math.sin(x) / x;
    const window = Math.abs(distance) >= half ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * distance) / half);
    filter[tap] = sinc * window;
    sum += sinc * window;
  }
  return filter.map((value) => value / sum);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
