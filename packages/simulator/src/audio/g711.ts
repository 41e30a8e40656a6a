// G.711: each byte is one sample at 8 kHz. Decoding is a table of 256 values; encoding a table over the top 14 bits.

const MULAW_BIAS = 0x84;
const MULAW_MAX = 32_635;

function mulawByte(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), MULAW_MAX) + MULAW_BIAS;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

function mulawSample(byte: number): number {
  const bits = ~byte & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + MULAW_BIAS) << ((bits >> 4) & 7)) - MULAW_BIAS;
  return bits & 0x80 ? -magnitude : magnitude;
}

function alawByte(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80;
  const magnitude = Math.min(sample < 0 ? ~sample : sample, 32_767) >> 4;
  const exponent = magnitude < 16 ? 0 : 31 - Math.clz32(magnitude) - 3;
  const mantissa = exponent === 0 ? magnitude : (magnitude >> (exponent - 1)) & 0x0f;
  return (sign | (exponent << 4) | mantissa) ^ 0x55;
}

function alawSample(byte: number): number {
  const bits = byte ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const low = ((bits & 0x0f) << 4) + 8;
  const magnitude = exponent === 0 ? low : (low + 0x100) << (exponent - 1);
  return bits & 0x80 ? magnitude : -magnitude;
}

function encodeTable(byteOf: (sample: number) => number): Uint8Array {
  const table = new Uint8Array(65_536);
  for (let i = 0; i < 65_536; i++) table[i] = byteOf(i - 32_768);
  return table;
}

const MULAW_ENCODE = encodeTable(mulawByte);
const ALAW_ENCODE = encodeTable(alawByte);
const MULAW_DECODE = Int16Array.from({ length: 256 }, (_, byte) => mulawSample(byte));
const ALAW_DECODE = Int16Array.from({ length: 256 }, (_, byte) => alawSample(byte));

function encode(samples: Int16Array, table: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) bytes[i] = table[(samples[i] as number) + 32_768] as number;
  return bytes;
}

function decode(bytes: Uint8Array, table: Int16Array): Int16Array {
  const samples = new Int16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) samples[i] = table[bytes[i] as number] as number;
  return samples;
}

/** 16-bit samples to µ-law bytes, one byte a sample; the caller resamples to 8 kHz first. */
export function encodeMulaw(samples: Int16Array): Uint8Array {
  return encode(samples, MULAW_ENCODE);
}

/** µ-law bytes to 16-bit samples. */
export function decodeMulaw(bytes: Uint8Array): Int16Array {
  return decode(bytes, MULAW_DECODE);
}

/** 16-bit samples to A-law bytes, one byte a sample; the caller resamples to 8 kHz first. */
export function encodeAlaw(samples: Int16Array): Uint8Array {
  return encode(samples, ALAW_ENCODE);
}

/** A-law bytes to 16-bit samples. */
export function decodeAlaw(bytes: Uint8Array): Int16Array {
  return decode(bytes, ALAW_DECODE);
}
