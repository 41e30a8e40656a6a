import { newId } from '@parley/core';
import { bytesToMs, rateOf, samplesOf } from '../audio/format.ts';
import type { AudioFormat, ContentPart, Item, Wire } from '../wire.ts';
import { isObject } from '../wire.ts';
import type { ItemAudio } from './conversation.ts';
import * as rule from './rules.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// Items as clients create them: checked, and completed to what the server shows.

const ID_LENGTH_MAX = 32;
const ROLES: Record<string, readonly string[]> = {
  user: ['input_text', 'input_audio', 'input_image'],
  system: ['input_text'],
  assistant: ['output_text'],
};

export interface CreatedItem {
  item: Item;
  audio: ItemAudio | null;
  audioMs: number;
}

/** Bytes of a base64 string, or null where it is not base64. */
export function bytesOfBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  // Node skips what is no base64; then fewer bytes come out than the length promises.
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return bytes.length === Math.floor(((text.length - padding) * 3) / 4) ? bytes : null;
}

/** Reads the `item` of `conversation.item.create` or of `response.create`'s input. */
export function createdItem(value: unknown, format: AudioFormat, param = 'item'): CreatedItem {
  if (!isObject(value)) throw value === undefined ? missing(param) : invalid(param, value, 'an object');
  if (value['type'] === undefined) throw missing(`${param}.type`);
  const id = value['id'] ?? newId('item');
  rule.string(id, `${param}.id`);
  if ((id as string).length > ID_LENGTH_MAX) {
    const message = `Invalid '${param}.id': string too long. Expected a string with maximum length ${ID_LENGTH_MAX}, but got a string with length ${(id as string).length} instead.`;
    throw new WireError('string_above_max_length', message, `${param}.id`);
  }
  const base = { id: id as string, object: 'realtime.item' as const, status: 'completed' as const };
  const text = (key: string) => required(value, key, param);
  switch (value['type']) {
    case 'message':
      return message(value, base, format, param);
    case 'function_call': {
      const callId = value['call_id'] === undefined ? newId('call') : text('call_id');
      return silent({
        ...base,
        type: 'function_call',
        name: text('name'),
        call_id: callId,
        arguments: text('arguments'),
      });
    }
    case 'function_call_output':
      return silent({ ...base, type: 'function_call_output', call_id: text('call_id'), output: text('output') });
    case 'mcp_approval_response':
      return silent({ ...value, ...base, type: 'mcp_approval_response' });
    default:
      throw invalid(
        `${param}.type`,
        value['type'],
        "one of 'message', 'function_call', 'function_call_output', 'mcp_approval_response'",
      );
  }
}

function silent(item: Item): CreatedItem {
  return { item, audio: null, audioMs: 0 };
}

function required(value: Wire, key: string, param: string): string {
  if (value[key] === undefined) throw missing(`${param}.${key}`);
  rule.string(value[key], `${param}.${key}`);
  return value[key] as string;
}

function message(
  value: Wire,
  base: Pick<Item, 'id' | 'object' | 'status'>,
  format: AudioFormat,
  param: string,
): CreatedItem {
  const role = required(value, 'role', param);
  const allowed = Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
  if (!allowed) throw invalid(`${param}.role`, role, "one of 'user', 'system', 'assistant'");
  if (!Array.isArray(value['content']))
    throw value['content'] === undefined
      ? missing(`${param}.content`)
      : invalid(`${param}.content`, value['content'], 'an array');
  let audio: ItemAudio | null = null;
  let audioMs = 0;
  const content = value['content'].map((part: unknown, index): ContentPart => {
    const at = `${param}.content[${index}]`;
    if (!isObject(part)) throw invalid(at, part, 'an object');
    rule.oneOf(...allowed)(part['type'], `${at}.type`);
    if (part['type'] !== 'input_audio') return contentPart(part, at);
    const bytes = bytesOfBase64(required(part, 'audio', at));
    if (!bytes) throw invalid(`${at}.audio`, 'not base64', 'base64');
    audio = { pcm: samplesOf(bytes, format), rate: rateOf(format) };
    audioMs += bytesToMs(bytes.length, format);
    return { type: 'input_audio', transcript: (part['transcript'] as string | undefined) ?? null };
  });
  return { item: { ...base, type: 'message', role, content }, audio, audioMs };
}

function contentPart(part: Wire, at: string): ContentPart {
  if (part['type'] !== 'input_image') return { type: part['type'] as string, text: required(part, 'text', at) };
  return { type: 'input_image', image_url: required(part, 'image_url', at), detail: part['detail'] ?? 'auto' };
}
