import { polyphase } from './polyphase.ts';

/**
 * Changes the sample rate (Hz) of 16-bit mono audio. The length becomes `ceil(length * to / from)`.
 * Throws `invalid_argument` for a rate outside 1,000 to 384,000 Hz or not whole.
 */
export function resample(pcm: Int16Array, from: number, to: number): Int16Array {
  const { up, down, taps, phases } = polyphase(from, to);
  if (from === to) return pcm.slice();
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
