// What stands in the body of a turn: words, or sound of some kind as 16-bit mono at 24 kHz.

import { LIMITS, ParleyError, type TurnRequest } from '@parley/core';
import { readWav, resample } from '@parley/transport/audio';
import { readOggOpus } from './ogg-opus.ts';

export const RATE = 24_000;
export const BYTES_PER_MS = (RATE * 2) / 1000;

export type TurnInput = { source: 'text'; text: string } | { source: 'audio'; pcm: Buffer };

/** Types of a body that is nothing but sound. */
export const SOUND_TYPES: readonly string[] = [
  'audio/wav',
  'audio/wave',
  'audio/x-wav',
  'audio/vnd.wave',
  'audio/ogg',
  'audio/opus',
];

const MS_MIN = 100;

/** A body whose type is among SOUND_TYPES. @throws ParleyError `invalid_argument` */
export function inputOfBytes(type: string, bytes: Buffer): TurnInput {
  return sound(type.includes('wav') ? 'wav' : 'opus', bytes, RATE);
}

/** A body in JSON, checked as TurnRequest. @throws ParleyError `invalid_argument` */
export function inputOfRequest({ text, audio }: TurnRequest): TurnInput {
  if ((text === undefined) === (audio === undefined)) {
    throw new ParleyError('invalid_argument', 'a turn has either text or audio', { details: { path: 'audio' } });
  }
  if (audio === undefined) return { source: 'text', text: text ?? '' };
  const { format, data, sample_rate = RATE } = audio;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data)) {
    throw new ParleyError('invalid_argument', 'audio.data must be base64', { details: { path: 'audio.data' } });
  }
  return sound(format, Buffer.from(data, 'base64'), sample_rate);
}

function sound(format: 'opus' | 'pcm16' | 'wav', bytes: Buffer, rate: number): TurnInput {
  const ms_max = LIMITS.turn_audio_ms_max;
  const pcm =
    format === 'opus'
      ? readOggOpus(bytes, ms_max)
      : format === 'wav'
        ? ofWav(bytes, ms_max)
        : at24k(samplesOf(bytes), rate);
  const ms = Math.round(pcm.length / BYTES_PER_MS);
  if (ms < MS_MIN) throw new ParleyError('invalid_argument', `expected at least ${MS_MIN} ms of sound, got ${ms}`);
  if (ms > ms_max) throw new ParleyError('invalid_argument', `a sound may have at most ${ms_max} ms, got ${ms}`);
  return { source: 'audio', pcm };
}

function ofWav(bytes: Buffer, ms_max: number): Buffer {
  const { samples, sampleRate } = readWav(bytes, { ms_max });
  return at24k(samples, sampleRate);
}

function samplesOf(bytes: Buffer): Int16Array {
  // A copy is aligned; a piece of a larger buffer need not be.
  return new Int16Array(Uint8Array.from(bytes.subarray(0, bytes.length & ~1)).buffer);
}

function at24k(samples: Int16Array, rate: number): Buffer {
  const pcm = rate === RATE ? samples : resample(samples, rate, RATE);
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}
