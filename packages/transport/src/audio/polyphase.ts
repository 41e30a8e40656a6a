// Filters between two sample rates: a windowed sinc, cut into one small filter for each phase, so that a sample costs
// `taps` multiplications whatever the ratio is.

import { ParleyError } from '@parley/core';

/** Half the filter's length, in periods of the slower rate. */
const HALF_WIDTH = 16;
/**
 * Where the slope has its middle, in parts of the slower rate's Nyquist frequency: with this width it ends below that
 * frequency, so what the slower rate cannot hold is 65 dB down and more. Four fifths of the band pass as they are.
 */
const CUTOFF = 0.91;
const RATE_MIN = 1_000;
const RATE_MAX = 384_000;
const FILTERS_MAX = 16;

export interface Polyphase {
  up: number;
  down: number;
  taps: number;
  phases: readonly Float32Array[];
}

const filters = new Map<string, Polyphase>();

/** @throws ParleyError `invalid_argument` for a rate outside 1,000 to 384,000 Hz or not whole. */
export function polyphase(from: number, to: number): Polyphase {
  const key = `${from}:${to}`;
  const known = filters.get(key);
  if (known) return known;
  for (const rate of [from, to]) {
    if (!Number.isInteger(rate) || rate < RATE_MIN || rate > RATE_MAX) {
      throw new ParleyError(
        'invalid_argument',
        `sample rate must be a whole number of ${RATE_MIN} to ${RATE_MAX} Hz, got ${rate}`,
      );
    }
  }
  const divisor = greatestCommonDivisor(from, to);
  const up = to / divisor;
  const cutoff = Math.min(1, to / from) * CUTOFF;
  const half = Math.ceil(HALF_WIDTH / cutoff);
  const phases = Array.from({ length: up }, (_, phase) => phaseOf(phase / up, half, cutoff));
  const filter = { up, down: from / divisor, taps: half * 2, phases };
  if (filters.size >= FILTERS_MAX) filters.delete(filters.keys().next().value as string);
  filters.set(key, filter);
  return filter;
}

function phaseOf(offset: number, half: number, cutoff: number): Float32Array {
  const filter = new Float32Array(half * 2);
  let sum = 0;
  for (let tap = 0; tap < filter.length; tap++) {
    const distance = tap - half + 1 - offset;
    const x = Math.PI * cutoff * distance;
    const sinc = x === 0 ? 1 : Math.sin(x) / x;
    filter[tap] = sinc * blackman(distance / half);
    sum += filter[tap] as number;
  }
  return filter.map((value) => value / sum);
}

/** One in the middle, nothing at -1 and 1. */
function blackman(at: number): number {
  if (Math.abs(at) >= 1) return 0;
  return 0.42 + 0.5 * Math.cos(Math.PI * at) + 0.08 * Math.cos(2 * Math.PI * at);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
