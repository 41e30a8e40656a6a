// The one sound of this adapter: 16-bit mono at 24 kHz, as bytes.

import { writeWav } from '@parley/transport/audio';

export const RATE = 24_000;
export const BYTES_PER_MS = (RATE * 2) / 1000;

/** Samples as a WAV file: what chat completions take. */
export function wavOf(pcm: Buffer): Buffer {
  // A copy is aligned; a piece of a larger buffer need not be.
  const samples = new Int16Array(Uint8Array.from(pcm).buffer);
  return Buffer.from(writeWav(samples, RATE).buffer);
}

/** Base64 as whole samples; null when it is not base64. */
export function samplesOf(text: string): Buffer | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length % 2 === 0 ? bytes : bytes.subarray(0, -1);
}
