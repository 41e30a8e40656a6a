// PCM16, mono, 24 kHz: what travels on a realtime socket. Every platform that runs this is little-endian, as the wire.

/** Samples a second on a realtime socket. */
export const SAMPLE_RATE = 24_000;

/** Length of audio in milliseconds. */
export function msOf(samples: number): number {
  return (samples * 1000) / SAMPLE_RATE;
}

/** Samples in a stretch of time. */
export function samplesOf(ms: number): number {
  return Math.round((ms * SAMPLE_RATE) / 1000);
}

// One string of this many characters is far below what engines take as arguments.
const CHUNK_BYTES = 0x8000;

/** PCM16 as base64. */
export function encodePcm(pcm: Int16Array): string {
  return encodeBase64(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
}

/** Bytes as base64. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  }
  return btoa(binary);
}

/** Base64 as PCM16; half a sample at the end is left out. @throws DOMException when it is not base64. */
export function decodePcm(base64: string): Int16Array {
  const bytes = decodeBase64(base64);
  return new Int16Array(bytes.buffer, 0, bytes.length >> 1);
}

/** Base64 as bytes. @throws DOMException when it is not base64. */
export function decodeBase64(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Loudness as the root mean square, 0 to 1. */
export function levelOf(pcm: Int16Array): number {
  if (pcm.length === 0) return 0;
  let sum = 0;
  for (const sample of pcm) sum += sample * sample;
  return Math.sqrt(sum / pcm.length) / 32_768;
}

/** Samples between -1 and 1 as PCM16; what is louder is clipped. */
export function pcmOfFloat(samples: Float32Array): Int16Array {
  const pcm = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    const clipped = Math.max(-1, Math.min(1, samples[i] as number));
    pcm[i] = Math.round(clipped * (clipped < 0 ? 32_768 : 32_767));
  }
  return pcm;
}

/** PCM16 as samples between -1 and 1. */
export function floatOfPcm(pcm: Int16Array): Float32Array {
  const samples = new Float32Array(pcm.length);
  for (let i = 0; i < pcm.length; i++) samples[i] = (pcm[i] as number) / 32_768;
  return samples;
}
