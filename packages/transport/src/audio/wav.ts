import { ParleyError } from '@parley/core';

// RIFF/WAVE, the part of it that recorders write: PCM of 8, 16, 24 and 32 bits and float of 32 and 64 bits, plain or
// with the extensible header.

const FORMAT_PCM = 1;
const FORMAT_FLOAT = 3;
const FORMAT_EXTENSIBLE = 0xfffe;

/** What a WAV file holds. */
export interface Wav {
  /** Samples a second. */
  sampleRate: number;
  /** Channels in the file; `samples` is their mix. */
  channels: number;
  /** 16-bit mono. */
  samples: Int16Array;
}

/** What a reader is willing to hold. */
export interface WavLimits {
  /** A longer file is refused before its samples are read. */
  ms_max?: number;
}

interface Layout {
  format: number;
  channels: number;
  sampleRate: number;
  bits: number;
}

function broken(message: string): ParleyError {
  return new ParleyError('invalid_argument', `not a WAV file that can be read: ${message}`);
}

/**
 * Reads a WAV file and mixes it to mono. A data chunk whose stated length runs past the end (a recorder that was
 * killed, or a stream) is read as far as it goes. Throws `invalid_argument` for anything else that is not a WAV.
 */
export function readWav(bytes: Uint8Array, { ms_max = Number.POSITIVE_INFINITY }: WavLimits = {}): Wav {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || tag(view, 0) !== 'RIFF' || tag(view, 8) !== 'WAVE') {
    throw broken('expected RIFF and WAVE at the start');
  }
  let layout: Layout | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = tag(view, at);
    const stated = view.getUint32(at + 4, true);
    const body = at + 8;
    const size = Math.min(stated, bytes.length - body);
    if (name === 'fmt ') layout = readLayout(view, body, size);
    if (name === 'data') {
      if (!layout) throw broken('expected a fmt chunk before the data chunk');
      const ms = (size * 8000) / (layout.bits * layout.channels * layout.sampleRate);
      if (ms > ms_max) {
        throw new ParleyError('invalid_argument', `a sound may have at most ${ms_max} ms, got ${Math.round(ms)}`);
      }
      return { sampleRate: layout.sampleRate, channels: layout.channels, samples: mix(view, body, size, layout) };
    }
    at = body + stated + (stated % 2);
  }
  throw broken('expected a data chunk, found none');
}

function tag(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}

function readLayout(view: DataView, at: number, size: number): Layout {
  if (size < 16) throw broken(`expected a fmt chunk of 16 bytes or more, got ${size}`);
  let format = view.getUint16(at, true);
  const channels = view.getUint16(at + 2, true);
  const sampleRate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  if (format === FORMAT_EXTENSIBLE) {
    if (size < 40) throw broken(`expected an extensible fmt chunk of 40 bytes, got ${size}`);
    format = view.getUint16(at + 24, true);
  }
  const known =
    (format === FORMAT_PCM && [8, 16, 24, 32].includes(bits)) || (format === FORMAT_FLOAT && [32, 64].includes(bits));
  if (!known)
    throw broken(`expected PCM of 8, 16, 24 or 32 bits or float of 32 or 64, got format ${format} of ${bits} bits`);
  if (channels < 1 || sampleRate < 1) throw broken(`got ${channels} channels at ${sampleRate} Hz`);
  return { format, channels, sampleRate, bits };
}

function mix(view: DataView, at: number, size: number, layout: Layout): Int16Array {
  const width = layout.bits / 8;
  const frame = width * layout.channels;
  const samples = new Int16Array(Math.floor(size / frame));
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < layout.channels; channel++) {
      sum += sampleAt(view, at + i * frame + channel * width, layout);
    }
    const value = Math.round((sum / layout.channels) * 32_768);
    samples[i] = Math.max(-32_768, Math.min(32_767, Number.isNaN(value) ? 0 : value));
  }
  return samples;
}

function sampleAt(view: DataView, at: number, { format, bits }: Layout): number {
  if (format === FORMAT_FLOAT) return bits === 32 ? view.getFloat32(at, true) : view.getFloat64(at, true);
  if (bits === 8) return (view.getUint8(at) - 128) / 128;
  if (bits === 16) return view.getInt16(at, true) / 32_768;
  if (bits === 24) return ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8_388_608;
  return view.getInt32(at, true) / 2_147_483_648;
}

/** Writes 16-bit mono samples as a WAV file. */
export function writeWav(pcm: Int16Array, sampleRate: number): Uint8Array {
  const bytes = new Uint8Array(44 + pcm.length * 2);
  const view = new DataView(bytes.buffer);
  const put = (at: number, text: string) => {
    for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  };
  put(0, 'RIFF');
  view.setUint32(4, 36 + pcm.length * 2, true);
  put(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, FORMAT_PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  put(36, 'data');
  view.setUint32(40, pcm.length * 2, true);
  for (let i = 0; i < pcm.length; i++) view.setInt16(44 + i * 2, pcm[i] as number, true);
  return bytes;
}
