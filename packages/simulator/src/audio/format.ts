import type { AudioFormat } from '../wire.ts';
import { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from './g711.ts';
import { resample } from '@parley/transport/audio';

/** Samples a second of a wire format. */
export function rateOf(format: AudioFormat): number {
  return format.type === 'audio/pcm' ? 24_000 : 8_000;
}

/** What the media of a call carries, once it is decoded. */
export const CALL_FORMAT: AudioFormat = { type: 'audio/pcm', rate: 24_000 };

/** The bytes of a wire format as samples at its own rate. A last odd byte of PCM is left out. */
export function samplesOf(bytes: Uint8Array, format: AudioFormat): Int16Array {
  if (format.type === 'audio/pcmu') return decodeMulaw(bytes);
  if (format.type === 'audio/pcma') return decodeAlaw(bytes);
  const length = bytes.byteLength >> 1;
  // Node hands out slices of a pool, at odd addresses too; a copy is aligned and keeps the pool free.
  return bytes.byteOffset % 2 === 0 && bytes.buffer.byteLength === bytes.byteLength
    ? new Int16Array(bytes.buffer, bytes.byteOffset, length)
    : new Int16Array(Uint8Array.from(bytes.subarray(0, length * 2)).buffer);
}

/** Samples at any rate as the bytes of a wire format. */
export function bytesOf(pcm: Int16Array, rate: number, format: AudioFormat): Uint8Array {
  const samples = resample(pcm, rate, rateOf(format));
  if (format.type === 'audio/pcmu') return encodeMulaw(samples);
  if (format.type === 'audio/pcma') return encodeAlaw(samples);
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Length of so many bytes of a format, in milliseconds. */
export function bytesToMs(bytes: number, format: AudioFormat): number {
  return format.type === 'audio/pcm' ? bytes / 48 : bytes / 8;
}
