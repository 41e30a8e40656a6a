// Filters between two sample rates: a windowed sinc, cut into one small filter for each phase, so that a sample costs
// `taps` multiplications whatever the ratio is.

import { ParleyError } from '@parley/core';

/**
 * Half the filter's length, in periods of the slower rate, the middle of its slope, in parts of that rate's Nyquist
 * frequency, and the shape of its window: five sixths of the band pass as they are, and what lies a twentieth of the
 * band above it is more than 70 dB down.
 */
const HALF_WIDTH = 20;
const CUTOFF = 0.92;
const KAISER_BETA = 7;
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
    filter[tap] = sinc * kaiser(distance / half);
    sum += filter[tap] as number;
  }
  return filter.map((value) => value / sum);
}

/** One in the middle, next to nothing at -1 and 1. */
function kaiser(at: number): number {
  return Math.abs(at) >= 1 ? 0 : bessel(KAISER_BETA * Math.sqrt(1 - at * at)) / bessel(KAISER_BETA);
}

/** The modified Bessel function of the first kind and order 0, by its series. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / 2 / k) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
