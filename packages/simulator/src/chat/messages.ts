// The messages of a completion as the context that the simulated model answers.

import { randomSuffix } from '@parley/core';
import { readWav, type Wav } from '@parley/transport/audio';
import type { Entry, Hearing, ItemAudio } from '../session/conversation.ts';
import { hear } from '../session/hearing.ts';
import { isObject, type Item, type Wire } from '../wire.ts';
import { HttpError } from './http-error.ts';

export interface ChatContext {
  entries: Entry[];
  lastUser: Entry | null;
  /** What the model is told about itself: the system's words, or the only message that there is. */
  instructions: string | undefined;
  roles: string[];
  audioMs: number;
  chars: number;
}

const FORMATS = ['wav', 'pcm16'];
const PCM_RATE = 24_000;

/** Reads the messages. @throws HttpError for what a host would refuse. */
export function contextOf(messages: unknown): ChatContext {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new HttpError(
      400,
      "Invalid 'messages': expected a list with at least one message.",
      'invalid_value',
      'messages',
    );
  }
  const context: ChatContext = {
    entries: [],
    lastUser: null,
    instructions: undefined,
    roles: [],
    audioMs: 0,
    chars: 0,
  };
  const awaited = new Set<string>();
  const system: string[] = [];
  for (const [n, message] of messages.entries()) {
    if (!isObject(message)) throw new HttpError(400, `Invalid 'messages[${n}]': expected an object.`, 'invalid_value');
    const role = String(message['role']);
    context.roles.push(role);
    if (role !== 'tool' && awaited.size > 0) throw unanswered(awaited);
    if (role === 'tool') answered(message, awaited, context);
    else if (role === 'assistant') spoken(message, awaited, context);
    else if (role === 'user') context.lastUser = heard(message, n, context);
    else if (role === 'system' || role === 'developer') {
      system.push(textOf(message['content']));
      context.entries.push(entry({ type: 'message', role: 'system' }));
    } else
      throw new HttpError(
        400,
        `Invalid value: '${role}'. Supported values are: 'system', 'assistant', 'user', 'tool'.`,
      );
  }
  if (awaited.size > 0) throw unanswered(awaited);
  const told = system.join('\n');
  context.chars += told.length;
  context.instructions =
    messages.length === 1 ? textOf((messages[0] as Wire)['content']) : told === '' ? undefined : told;
  return context;
}

function unanswered(awaited: ReadonlySet<string>): HttpError {
  const ids = [...awaited].join(', ');
  const message = `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${ids}`;
  return new HttpError(400, message, 'invalid_request_error', 'messages');
}

function answered(message: Wire, awaited: Set<string>, context: ChatContext): void {
  const id = String(message['tool_call_id']);
  if (!awaited.delete(id)) {
    const text =
      "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
    throw new HttpError(400, text, 'invalid_request_error', 'messages');
  }
  const output = textOf(message['content']);
  context.chars += output.length;
  context.entries.push(entry({ type: 'function_call_output', call_id: id, output }));
}

function spoken(message: Wire, awaited: Set<string>, context: ChatContext): void {
  const text = textOf(message['content']);
  context.chars += text.length;
  if (text !== '') {
    context.entries.push(entry({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] }));
  }
  for (const call of Array.isArray(message['tool_calls']) ? message['tool_calls'] : []) {
    if (!isObject(call) || !isObject(call['function'])) throw new HttpError(400, 'Invalid tool call.', 'invalid_value');
    const { name, arguments: args } = call['function'];
    const id = String(call['id']);
    awaited.add(id);
    context.entries.push(entry({ type: 'function_call', call_id: id, name: String(name), arguments: String(args) }));
  }
}

function heard(message: Wire, n: number, context: ChatContext): Entry {
  const { content } = message;
  const parts: unknown[] = Array.isArray(content) ? content : [];
  const text = textOf(content);
  context.chars += text.length;
  const made = entry({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] });
  made.hearing = Promise.resolve<Hearing>({ kind: 'typed', text });
  const sounds = parts.filter((part): part is Wire => isObject(part) && part['type'] === 'input_audio');
  if (sounds.length > 0) {
    const audio = joined(sounds.map((part) => soundOf(part['input_audio'], n)));
    made.audio = audio;
    made.audioMs = (audio.pcm.length * 1000) / audio.rate;
    context.audioMs += made.audioMs;
    const words = hear(audio, () => undefined);
    made.hearing = words.then((hearing) => {
      return text === '' ? hearing : { kind: hearing.kind, text: `${text}\n${hearing.text}` };
    });
  }
  context.entries.push(made);
  return made;
}

function joined(sounds: ItemAudio[]): ItemAudio {
  const rate = sounds[0]?.rate ?? PCM_RATE;
  const pcm = new Int16Array(sounds.reduce((length, sound) => length + sound.pcm.length, 0));
  let at = 0;
  for (const sound of sounds) {
    pcm.set(sound.pcm, at);
    at += sound.pcm.length;
  }
  return { pcm, rate };
}

/** `input_audio` of a part, or of a request for a transcript. @throws HttpError */
export function soundOf(value: unknown, n: number): ItemAudio {
  const { data, format } = isObject(value) ? value : {};
  if (typeof format !== 'string' || !FORMATS.includes(format)) {
    const message = `Invalid value: '${String(format)}'. Supported values here are: ${FORMATS.map((one) => `'${one}'`).join(', ')}.`;
    throw new HttpError(400, message, 'invalid_value', `messages[${n}].content`);
  }
  const text = typeof data === 'string' ? data : '';
  if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/u.test(text)) {
    throw new HttpError(400, 'Invalid base64 data for the audio.', 'invalid_value', `messages[${n}].content`);
  }
  return format === 'wav' ? ofWav(Buffer.from(text, 'base64')) : ofPcm(Buffer.from(text, 'base64'));
}

/** A WAV file as sound. @throws HttpError */
export function ofWav(bytes: Uint8Array): ItemAudio {
  let wav: Wav;
  try {
    wav = readWav(bytes);
  } catch (error) {
    throw new HttpError(400, `The audio data is not valid wav: ${(error as Error).message}`, 'invalid_value');
  }
  return { pcm: wav.samples, rate: wav.sampleRate };
}

function ofPcm(bytes: Buffer): ItemAudio {
  const pcm = new Int16Array(bytes.length >> 1);
  for (let i = 0; i < pcm.length; i++) pcm[i] = bytes.readInt16LE(i * 2);
  return { pcm, rate: PCM_RATE };
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .flatMap((part) => (isObject(part) && typeof part['text'] === 'string' ? [part['text']] : []))
    .join('\n');
}

function entry(item: Omit<Item, 'id' | 'object'>): Entry {
  const id = `msg_${randomSuffix()}`;
  return { item: { ...item, id, object: 'realtime.item' } as Item, audioMs: 0, audio: null, hearing: null };
}
