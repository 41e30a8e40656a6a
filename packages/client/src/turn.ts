// A whole turn in one request: what the user says or types, and the answer to it.

import { type EventRecord, ParleyError, type TurnRequest, type TurnResponse } from '@parley/core';
import type { Http } from './http.ts';
import { decodeBase64, decodePcm, encodeBase64, encodePcm } from './pcm.ts';
import type { KeyedRequestOptions, RequestOptions } from './sessions.ts';
import { readSse } from './sse.ts';

/** Words; or a file of sound (WAV, or Opus in Ogg); or PCM16 samples, mono, at 24 kHz unless it is said. */
export type TurnInput =
  | { text: string }
  | { audio: Uint8Array; format?: 'opus' | 'wav' | undefined }
  | { samples: Int16Array; sampleRate?: number | undefined };

export interface TurnOptions extends KeyedRequestOptions {
  /** How the sound of the answer comes: `wav` when it is left out. */
  replyFormat?: 'none' | 'pcm16' | 'wav' | undefined;
}

/** A piece of an answer that is being made. */
export type TurnPart =
  | { type: 'event'; event: EventRecord }
  | { type: 'text'; delta: string }
  /** PCM16, mono, 24 kHz. */
  | { type: 'audio'; samples: Int16Array }
  | { type: 'answered'; answer: TurnResponse };

/** The sound of an answer: the bytes of a WAV file, or of samples where those were asked for. */
export function turnSound({ audio }: TurnResponse): Uint8Array<ArrayBuffer> | null {
  return audio === undefined ? null : decodeBase64(audio.data);
}

/** @throws ParleyError `invalid_argument` for bytes that are neither WAV nor Ogg. */
export function turnRequest(turn: TurnInput, replyFormat: TurnOptions['replyFormat']): TurnRequest {
  const reply_format = replyFormat === undefined ? {} : { reply_format: replyFormat };
  if ('text' in turn) return { text: turn.text, ...reply_format };
  if ('samples' in turn) {
    const { samples, sampleRate } = turn;
    const rate = sampleRate === undefined ? {} : { sample_rate: sampleRate };
    return { audio: { format: 'pcm16', data: encodePcm(samples), ...rate }, ...reply_format };
  }
  const { audio, format = formatOf(audio) } = turn;
  return { audio: { format, data: encodeBase64(audio) }, ...reply_format };
}

function formatOf(bytes: Uint8Array): 'opus' | 'wav' {
  const mark = String.fromCharCode(...bytes.subarray(0, 4));
  if (mark === 'RIFF') return 'wav';
  if (mark === 'OggS') return 'opus';
  throw new ParleyError('invalid_argument', 'audio must be a WAV file or Opus in an Ogg file');
}

/** Sends a turn and yields what comes. */
export async function* streamTurn(
  http: Http,
  path: string,
  body: TurnRequest,
  options: RequestOptions,
): AsyncGenerator<TurnPart> {
  const stream = await http.stream(path, { ...options, body }, 'POST');
  try {
    for await (const message of readSse(stream)) {
      if (message === null) continue;
      const part = partOf(message.event, JSON.parse(message.data) as Record<string, unknown>);
      yield part;
      if (part.type === 'answered') return;
    }
  } catch (thrown) {
    if (options.signal?.aborted) throw ParleyError.from(options.signal.reason, 'cancelled');
    throw ParleyError.from(thrown, 'unavailable');
  }
  throw new ParleyError('unavailable', `the answer from ${http.origin} broke off`);
}

function partOf(event: string, data: Record<string, unknown>): TurnPart {
  switch (event) {
    case 'audio.delta':
      return { type: 'audio', samples: decodePcm(String(data['audio'])) };
    case 'text.delta':
      return { type: 'text', delta: String(data['text']) };
    case 'turn.answered':
      return { type: 'answered', answer: data as unknown as TurnResponse };
    case 'error':
      throw ParleyError.from(data, 'unknown');
    default:
      return { type: 'event', event: data as unknown as EventRecord };
  }
}
