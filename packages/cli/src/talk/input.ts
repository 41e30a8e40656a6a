// What the caller says: a file, texts, typed lines, or the microphone.

import { readFileSync } from 'node:fs';
import { ParleyError, SAMPLE_RATE } from '@parley/client';
import { foundRecorder, microphone } from '@parley/session/machine-audio';
import { stdinLines } from '../input.ts';
import { note } from '../output.ts';

export interface TalkInput {
  /** Speech, if there is any. */
  audio: { source: AsyncIterable<Int16Array>; realtime: boolean } | null;
  /** Resolves when the speech was sent; at once where there is none. Never for a microphone. */
  spoken: Promise<void>;
  /** Texts, each said after the answer to what came before. */
  texts: AsyncIterable<string>;
}

export interface TalkInputOptions {
  audio?: string;
  text?: string[];
}

/**
 * What was asked for: `--audio` and then each `--text`; else the lines of a piped stdin; else, at a terminal, the
 * microphone and typed lines.
 */
export async function talkInput(options: TalkInputOptions, signal: AbortSignal): Promise<TalkInput> {
  if (options.audio !== undefined || options.text !== undefined) {
    const texts = listed(options.text ?? []);
    if (options.audio === undefined) return { audio: null, spoken: Promise.resolve(), texts };
    const { source, ended } = once(await wavFile(options.audio));
    return { audio: { source, realtime: false }, spoken: ended, texts };
  }
  const lines = stdinLines();
  if (!process.stdin.isTTY) return { audio: null, spoken: Promise.resolve(), texts: lines };
  const recorder = foundRecorder();
  if (!recorder) {
    note(
      'no microphone: this machine has no parec, arecord, rec or ffmpeg. Type what you want to say; Ctrl-D hangs up.',
    );
    return { audio: null, spoken: Promise.resolve(), texts: lines };
  }
  note(`listening with ${recorder.program} (use headphones); lines that you type are said too; Ctrl-D hangs up.`);
  return { audio: { source: microphone(recorder, signal), realtime: true }, spoken: Promise.resolve(), texts: lines };
}

async function wavFile(path: string): Promise<Int16Array> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `the audio file ${path} cannot be read (${why})`, { cause });
  }
  const { readWav, resample } = await import('@parley/simulator/speech');
  const wav = readWav(bytes);
  return resample(wav.samples, wav.sampleRate, SAMPLE_RATE);
}

/** A source of one piece, that tells when it was taken to its end. */
function once(pcm: Int16Array): { source: AsyncIterable<Int16Array>; ended: Promise<void> } {
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  async function* source(): AsyncGenerator<Int16Array> {
    yield pcm;
    end();
  }
  return { source: source(), ended };
}

async function* listed(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}
