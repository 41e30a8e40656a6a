// PCM16 at another rate, piece by piece: the state of one joins it to the next.

import { type Polyphase, polyphase } from './polyphase.ts';

/**
 * A stream of 16-bit mono audio at another sample rate (Hz).
 *
 * @throws ParleyError `invalid_argument` for a rate outside 1,000 to 384,000 Hz or not whole.
 * @example
 * const resampler = new Pcm16Resampler(24_000, 16_000);
 * const out = resampler.push(pcm); // 320 samples of 480, after the first piece
 */
export class Pcm16Resampler {
  readonly #filter: Polyphase;
  /** The last `taps - 1` samples of the piece before, and then the piece. */
  #held: Float32Array;
  /** Where the next output lies: in steps of `1 / up` samples after the start of `#held`. */
  #at = 0;

  constructor(from: number, to: number) {
    this.#filter = polyphase(from, to);
    this.#held = new Float32Array(this.#filter.taps - 1);
  }

  /** The next samples, little-endian. They lag by half of the filter, about a millisecond. */
  push(pcm: Buffer): Buffer {
    const { up, down, taps, phases } = this.#filter;
    const samples = pcm.length >> 1;
    const kept = this.#held.length;
    const held = new Float32Array(kept + samples);
    held.set(this.#held);
    for (let i = 0; i < samples; i++) held[kept + i] = pcm.readInt16LE(i * 2);
    const last = (held.length - taps) * up;
    const count = last < this.#at ? 0 : Math.floor((last - this.#at) / down) + 1;
    const out = Buffer.allocUnsafe(count * 2);
    for (let i = 0; i < count; i++) {
      const phase = this.#at % up;
      const first = (this.#at - phase) / up;
      const filter = phases[phase] as Float32Array;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += (held[first + tap] as number) * (filter[tap] as number);
      out.writeInt16LE(Math.max(-32_768, Math.min(32_767, Math.round(sum))), i * 2);
      this.#at += down;
    }
    const done = Math.min(held.length, Math.floor(this.#at / up));
    this.#held = held.slice(done);
    this.#at -= done * up;
    return out;
  }
}
