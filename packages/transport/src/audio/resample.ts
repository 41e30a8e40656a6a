import { ParleyError } from '@parley/core';

// A polyphase windowed-sinc filter. Rates are reduced to up/down, and one small filter is kept for each phase, so a
// sample costs `taps` multiplications whatever the ratio is.

/** Half the filter's length, in periods of the slower rate: 12 on each side keeps images about 70 dB down. */
const HALF_WIDTH = 12;
const RATE_MIN = 1_000;
const RATE_MAX = 384_000;
const FILTERS_MAX = 16;

interface Filter {
  up: number;
  down: number;
  taps: number;
  phases: Float32Array[];
}

const filters = new Map<string, Filter>();

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function filterOf(from: number, to: number): Filter {
  const key = `${from}:${to}`;
  const known = filters.get(key);
  if (known) return known;
  const divisor = gcd(from, to);
  const up = to / divisor;
  const down = from / divisor;
  // The pass band ends a little below the slower rate's Nyquist, so that the slope lies inside the band.
  const cutoff = Math.min(1, to / from) * 0.95;
  const half = Math.ceil(HALF_WIDTH / cutoff);
  const taps = half * 2;
  const phases: Float32Array[] = [];
  for (let phase = 0; phase < up; phase++) {
    const filter = new Float32Array(taps);
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - half + 1 - phase / up;
      const x = Math.PI * cutoff * distance;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      const window = Math.abs(distance) >= half ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * distance) / half);
      filter[tap] = sinc * window;
      sum += sinc * window;
    }
    for (let tap = 0; tap < taps; tap++) filter[tap] = (filter[tap] as number) / sum;
    phases.push(filter);
  }
  const filter = { up, down, taps, phases };
  if (filters.size >= FILTERS_MAX) filters.delete(filters.keys().next().value as string);
  filters.set(key, filter);
  return filter;
}

/**
 * Changes the sample rate (Hz) of 16-bit mono audio. The length becomes `ceil(length * to / from)`.
 * Throws `invalid_argument` for a rate outside 1,000 to 384,000 Hz or not whole.
 */
export function resample(pcm: Int16Array, from: number, to: number): Int16Array {
  for (const rate of [from, to]) {
    if (!Number.isInteger(rate) || rate < RATE_MIN || rate > RATE_MAX) {
      throw new ParleyError(
        'invalid_argument',
        `sample rate must be a whole number of ${RATE_MIN} to ${RATE_MAX} Hz, got ${rate}`,
      );
    }
  }
  if (from === to) return pcm.slice();
  const { up, down, taps, phases } = filterOf(from, to);
  const half = taps / 2;
  const length = Math.ceil((pcm.length * up) / down);
  const out = new Int16Array(length);
  for (let i = 0; i < length; i++) {
    const position = i * down;
    const phase = position % up;
    const first = (position - phase) / up - half + 1;
    const filter = phases[phase] as Float32Array;
    let sum = 0;
    const start = first < 0 ? -first : 0;
    const end = Math.min(taps, pcm.length - first);
    for (let tap = start; tap < end; tap++) sum += (filter[tap] as number) * (pcm[first + tap] as number);
    out[i] = sum > 32_767 ? 32_767 : sum < -32_768 ? -32_768 : Math.round(sum);
  }
  return out;
}
