// What the demonstration says: a question of its own as coded speech, or somebody's WAV.

import { readFile, stat } from 'node:fs/promises';
import { ParleyError } from '@parley/core';
import { encodeSpeech, readWav, resample } from '@parley/simulator/speech';

/** Of everything that is said and heard here. */
export const SAMPLE_RATE = 24_000;
const QUESTION = 'Where is order 42?';
/** Less is a click, which no turn detection takes for speech. */
const AUDIO_MS_MIN = 100;
const AUDIO_MS_MAX = 5 * 60_000;
/** Five minutes of stereo at 96 kHz and 32 bits, and then some. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;

export function question(): Promise<Int16Array> {
  return encodeSpeech(QUESTION, { sampleRate: SAMPLE_RATE });
}

/** @throws ParleyError `invalid_argument` when it cannot be read, is no WAV, or is too short or too long. */
export async function speechOf({ file, given }: { file: string; given: string }): Promise<Int16Array> {
  const refuse = (why: string): never => {
    throw new ParleyError('invalid_argument', `${given}: ${why}`);
  };
  let bytes: Buffer;
  try {
    const { size } = await stat(file);
    if (size > FILE_BYTES_MAX) refuse(`expected at most ${FILE_BYTES_MAX} bytes, got ${size}`);
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    return refuse(`cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`);
  }
  let wav: ReturnType<typeof readWav>;
  try {
    wav = readWav(bytes);
  } catch (error) {
    return refuse(ParleyError.from(error).message);
  }
  const ms = Math.round((wav.samples.length * 1000) / wav.sampleRate);
  if (ms < AUDIO_MS_MIN) refuse(`expected at least ${AUDIO_MS_MIN} ms of sound, got ${ms}`);
  if (ms > AUDIO_MS_MAX) refuse(`expected at most ${AUDIO_MS_MAX} ms of sound, got ${ms}`);
  return resample(wav.samples, wav.sampleRate, SAMPLE_RATE);
}
