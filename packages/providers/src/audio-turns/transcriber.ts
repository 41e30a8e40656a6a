// Writes down what the user said. A chat completion answers a turn without telling what it heard, so this is a request
// of its own, beside the answer.

import { isObject, textIn } from '../openai/wire.ts';
import { Failure } from './failure.ts';
import { wavOf } from './pcm.ts';
import { ask, type Body, type Endpoint, textOf } from './request.ts';

export interface Transcription {
  model: string;
  language: string | undefined;
  /** How the audio is sent: as a form with a file, or in JSON. Hosts take only the one or the other. */
  shape: 'form' | 'json';
}

const ANSWER_BYTES_MAX = 256 * 1024;

/** The words in the sound; empty when there are none. @throws Failure; the reason of the signal. */
export async function transcribe(at: Endpoint, how: Transcription, pcm: Buffer, signal: AbortSignal): Promise<string> {
  const body = how.shape === 'form' ? await form(how, wavOf(pcm)) : json(how, wavOf(pcm));
  const response = await ask(at, 'audio/transcriptions', body, signal);
  const text = await textOf(response, ANSWER_BYTES_MAX);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure('server_error', 'the transcript is not JSON');
  }
  const words = isObject(value) ? textIn(value, 'text') : undefined;
  if (words === undefined) throw new Failure('server_error', 'the transcript has no text');
  return words.trim();
}

function json({ model, language }: Transcription, wav: Buffer): Body {
  const input_audio = { data: wav.toString('base64'), format: 'wav' };
  const body = { model, input_audio, ...(language === undefined ? {} : { language }) };
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
}

async function form({ model, language }: Transcription, wav: Buffer): Promise<Body> {
  const fields = new FormData();
  fields.set('model', model);
  fields.set('response_format', 'json');
  if (language !== undefined) fields.set('language', language);
  fields.set('file', new Blob([new Uint8Array(wav)], { type: 'audio/wav' }), 'turn.wav');
  const encoded = new Response(fields);
  return { type: encoded.headers.get('content-type') ?? '', bytes: Buffer.from(await encoded.arrayBuffer()) };
}
