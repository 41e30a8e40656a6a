import { bytesOf, bytesToMs, rateOf } from './audio/format.ts';
import { espeak } from './espeak.ts';
import { Lru } from './lru.ts';
import type { Hearing, ItemAudio } from './session/conversation.ts';
import { encodeSpeech } from './speech/coded-speech.ts';
import type { AudioFormat } from './wire.ts';

// How an answer sounds, cut into the deltas that carry it.

/** Sound in one delta. */
const DELTA_MS = 200;
const CACHE_BYTES_MAX = 64 * 1024 * 1024;

/** `auto`: coded where the turn was coded, real speech for typed turns where `espeak-ng` is found. */
export type VoiceChoice = 'auto' | 'coded' | 'speech';

export interface Utterance {
  /** Base64 of each delta. */
  deltas: string[];
  /** Length of each delta but the last, in milliseconds. */
  deltaMs: number;
  totalMs: number;
  bytes: number;
}

export class Voice {
  readonly #choice: VoiceChoice;
  readonly #hasEspeak: boolean;
  readonly #cache = new Lru<Utterance>({ weightMax: CACHE_BYTES_MAX, weigh: ({ bytes }) => (bytes * 4) / 3 });

  constructor(choice: VoiceChoice, hasEspeak: boolean) {
    this.#choice = choice;
    this.#hasEspeak = hasEspeak;
  }

  /** Speaks a text, in the manner of the turn that it answers. Without `espeak-ng` everything is coded sound. */
  async say(
    text: string,
    format: AudioFormat,
    answers: Hearing['kind'] | null,
    signal: AbortSignal,
  ): Promise<Utterance> {
    const spoken = this.#hasEspeak && (this.#choice === 'speech' || (this.#choice === 'auto' && answers !== 'coded'));
    const key = `${spoken ? 'speech' : 'coded'}:${format.type}:${text}`;
    const known = this.#cache.get(key);
    if (known) return known;
    const utterance = cut(...(await this.#sound(text, format, spoken, signal)), format);
    this.#cache.set(key, utterance);
    return utterance;
  }

  async #sound(text: string, format: AudioFormat, spoken: boolean, signal: AbortSignal): Promise<[Int16Array, number]> {
    if (spoken && text.trim() !== '') {
      const { samples, sampleRate } = await espeak(text, signal);
      return [samples, sampleRate];
    }
    const sampleRate = rateOf(format);
    return [await encodeSpeech(text, { sampleRate }), sampleRate];
  }

  playback({ pcm, rate }: ItemAudio, format: AudioFormat): Utterance {
    return cut(pcm, rate, format);
  }
}

function cut(pcm: Int16Array, rate: number, format: AudioFormat): Utterance {
  const bytes = bytesOf(pcm, rate, format);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = DELTA_MS * (format.type === 'audio/pcm' ? 48 : 8);
  const deltas: string[] = [];
  for (let at = 0; at < buffer.length; at += size)
    deltas.push(buffer.toString('base64', at, Math.min(buffer.length, at + size)));
  return { deltas, deltaMs: DELTA_MS, totalMs: Math.floor(bytesToMs(buffer.length, format)), bytes: buffer.length };
}
