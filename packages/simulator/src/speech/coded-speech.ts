import { createHash } from 'node:crypto';
import { Lru, Remembered } from '../lru.ts';
import { resample } from '@parley/transport/audio';
import type { Band } from './coder-worker.ts';
import { decodeMessages, encodeMessage } from './coder.ts';

// Text carried as sound. A text is one or more messages of the coder, with pauses that no voice activity detector
// takes for the end of a turn.
//
// P1 A turn is not cut inside a text: a message has no pause, and between messages there are PAUSE_MS, less than the
//    shortest silence window in use (200 ms).
// P2 Below 16 kHz (a telephone line) the narrow code is used, which survives 8 kHz µ-law and A-law.

/** The rate of the coder (Hz). */
const CODE_RATE = 24_000;
const BEFORE_MS = 200;
const AFTER_MS = 800;
const PAUSE_MS = 60;
/** The coder carries 140 bytes a message; shorter messages lose less when an answer is interrupted. */
const MESSAGE_BYTES_MAX = 96;
/** Joins the messages of one word that was too long for one message. */
const GLUE = '\u2060';

// Demos and benchmarks repeat the same sentence.
const encoded = new Remembered<Int16Array>(new Lru({ weightMax: 32 * 1024 * 1024, weigh: (pcm) => pcm.byteLength }));
const decoded = new Remembered<string>(new Lru({ weightMax: 256, weigh: () => 1 }));

/** How `encodeSpeech` makes its sound. */
export interface EncodeSpeechOptions {
  /** Samples a second of the result: 24000 unless told. Below 16000 the narrow code is used, which takes longer. */
  sampleRate?: number;
}

/**
 * Makes sound that carries the text: 33 characters take about 1.7 s and one second of silence around them. Long
 * texts become several messages. White space is kept as one space. An empty text gives an empty sound.
 *
 * @example
 * const pcm = await encodeSpeech('order 1042', { sampleRate: 24000 });
 */
export async function encodeSpeech(
  text: string,
  { sampleRate = CODE_RATE }: EncodeSpeechOptions = {},
): Promise<Int16Array> {
  const band: Band = sampleRate < 16_000 ? 'narrow' : 'wide';
  const pcm = await encoded.get(`${band}:${sampleRate}:${text}`, () => encode(text, band, sampleRate));
  return pcm.slice();
}

async function encode(text: string, band: Band, sampleRate: number): Promise<Int16Array> {
  const messages = splitMessages(text);
  if (messages.length === 0) return new Int16Array(0);
  const parts: Int16Array[] = [silence(BEFORE_MS)];
  for (const [index, message] of messages.entries()) {
    if (index > 0) parts.push(silence(PAUSE_MS));
    parts.push(await encodeMessage(message, band));
  }
  parts.push(silence(AFTER_MS));
  const joined = join(parts);
  return sampleRate === CODE_RATE ? joined : resample(joined, CODE_RATE, sampleRate);
}

/** The text that a sound carries: `''` where no code is in it. A message that was cut off is left out. */
export async function decodeSpeech(pcm: Int16Array, sampleRate: number): Promise<string> {
  if (pcm.length === 0) return '';
  // Hashing is a hundred times cheaper than decoding.
  const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const key = `${sampleRate}:${createHash('sha1').update(bytes).digest('base64')}`;
  return decoded.get(key, async () => {
    const at24k = sampleRate === CODE_RATE ? pcm : resample(pcm, sampleRate, CODE_RATE);
    return (await decodeMessages(at24k)).join(' ').replaceAll(`${GLUE} `, '');
  });
}

function silence(ms: number): Int16Array {
  return new Int16Array((CODE_RATE * ms) / 1000);
}

function join(parts: Int16Array[]): Int16Array {
  const all = new Int16Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cuts a text at word ends into messages that fit; a word that does not fit is cut between characters. */
export function splitMessages(text: string): string[] {
  const messages: string[] = [];
  let message = '';
  for (const word of text.split(/\s+/u).filter((part) => part !== '')) {
    const longer = message === '' ? word : `${message} ${word}`;
    if (Buffer.byteLength(longer) <= MESSAGE_BYTES_MAX) {
      message = longer;
      continue;
    }
    if (message !== '') messages.push(message);
    const pieces = splitWord(word);
    message = pieces.pop() ?? '';
    messages.push(...pieces.map((piece) => piece + GLUE));
  }
  if (message !== '') messages.push(message);
  return messages;
}

function splitWord(word: string): string[] {
  const room = MESSAGE_BYTES_MAX - Buffer.byteLength(GLUE);
  const pieces: string[] = [];
  let piece = '';
  for (const character of word) {
    if (Buffer.byteLength(piece + character) > room) {
      pieces.push(piece);
      piece = '';
    }
    piece += character;
  }
  return [...pieces, piece];
}
