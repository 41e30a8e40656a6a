// What a client of a session may send. Its sound is passed unparsed; everything else is parsed once and judged by
// `client_events`. What tells the model who it is (instructions, tools, system notes, outputs of tools) is the server's.

import {
  CLIENT_EVENT_OF_FRAME,
  type ClientEventName,
  ERROR_CODES,
  type ErrorCode,
  type ErrorObject,
} from '@parley/core';
import { isPlainAppend } from '@parley/transport';

export type ClientFrameVerdict = { readonly kind: 'audio' | 'other' } | { readonly problem: ErrorObject };

type Json = Record<string, unknown>;
type Allowed = readonly ClientEventName[];

const AUDIO: ClientFrameVerdict = { kind: 'audio' };
const OTHER: ClientFrameVerdict = { kind: 'other' };

/** What a client may say about an answer that it asks for. */
const RESPONSE_FIELDS = new Set([
  'conversation',
  'metadata',
  'input',
  'output_modalities',
  'max_output_tokens',
  'audio',
]);

/**
 * Judges a client's frame by the names that its session allows. Costs no parse and no memory for sound.
 *
 * @example
 * const verdict = clientFrameProblem(frame, ['audio', 'cancel']);
 * if ('problem' in verdict) reject(verdict.problem);
 */
export function clientFrameProblem(frame: Buffer, allowed: Allowed): ClientFrameVerdict {
  if (isPlainAppend(frame))
    return allowed.includes('audio') ? AUDIO : notAllowed('input_audio_buffer.append', 'audio', allowed);
  const parsed = parsedObject(frame);
  return parsed ? clientObjectProblem(parsed, allowed) : refusal('invalid_argument', 'a frame must be one JSON object');
}

/** As {@link clientFrameProblem}, for a frame that was parsed already. */
export function clientObjectProblem(event: Json, allowed: Allowed): ClientFrameVerdict {
  const { type } = event;
  if (typeof type !== 'string') return refusal('invalid_argument', 'a frame must have a type', 'type');
  if (type === 'session.update') {
    return refusal('permission_denied', 'session.update is refused: the server says what a session is', 'type');
  }
  if (!Object.hasOwn(CLIENT_EVENT_OF_FRAME, type)) {
    return refusal('invalid_argument', `a client may not send '${type.slice(0, 64)}'`, 'type');
  }
  const name = CLIENT_EVENT_OF_FRAME[type] as ClientEventName;
  if (type === 'conversation.item.create') return itemProblem(event['item'], allowed, 'item') ?? OTHER;
  if (!allowed.includes(name)) return notAllowed(type, name, allowed);
  if (type === 'response.create') return responseProblem(event['response'], allowed) ?? OTHER;
  return name === 'audio' ? AUDIO : OTHER;
}

function itemProblem(item: unknown, allowed: Allowed, path: string): ClientFrameVerdict | null {
  if (!isObject(item)) return refusal('invalid_argument', `${path} must be an object`, path);
  if (item['type'] === 'function_call_output') {
    return refusal('permission_denied', 'tools are answered by the server', `${path}.type`);
  }
  if (item['type'] !== 'message') return refusal('permission_denied', 'a client may only add messages', `${path}.type`);
  if (item['role'] !== 'user') {
    return refusal('permission_denied', 'a client may only add messages of the user', `${path}.role`);
  }
  const content = item['content'];
  if (!Array.isArray(content)) return refusal('invalid_argument', `${path}.content must be a list`, `${path}.content`);
  for (const [n, part] of content.entries()) {
    const needs = isObject(part) && typeof part['type'] === 'string' ? PART_NEEDS.get(part['type']) : undefined;
    const at = `${path}.content.${n}.type`;
    if (needs === undefined) {
      return refusal('invalid_argument', `a part must be one of: ${[...PART_NEEDS.keys()].join(', ')}`, at);
    }
    if (!allowed.includes(needs)) return notAllowed('a part of a message', needs, allowed, at);
  }
  return null;
}

const PART_NEEDS: ReadonlyMap<string, ClientEventName> = new Map([
  ['input_audio', 'audio'],
  ['input_image', 'image'],
  ['input_text', 'text'],
]);

function responseProblem(response: unknown, allowed: Allowed): ClientFrameVerdict | null {
  if (response === undefined || response === null) return null;
  if (!isObject(response)) return refusal('invalid_argument', 'response must be an object', 'response');
  for (const field of Object.keys(response)) {
    if (RESPONSE_FIELDS.has(field)) continue;
    const known = [...RESPONSE_FIELDS].sort().join(', ');
    return refusal(
      'permission_denied',
      `a client may only set these of a response: ${known}`,
      `response.${field.slice(0, 64)}`,
    );
  }
  const { metadata, input } = response;
  if (isObject(metadata) && Object.keys(metadata).some((key) => key.startsWith('parley_'))) {
    return refusal('permission_denied', 'metadata that begins with parley_ belongs to the server', 'response.metadata');
  }
  if (input === undefined || input === null) return null;
  if (!Array.isArray(input)) return refusal('invalid_argument', 'response.input must be a list', 'response.input');
  for (const [n, item] of input.entries()) {
    if (isObject(item) && item['type'] === 'item_reference') continue;
    const problem = itemProblem(item, allowed, `response.input.${n}`);
    if (problem) return problem;
  }
  return null;
}

function notAllowed(what: string, name: ClientEventName, allowed: Allowed, path = 'type'): ClientFrameVerdict {
  const list = [...allowed].sort().join(', ') || 'none';
  return refusal('permission_denied', `${what} needs '${name}' in client_events. Allowed: ${list}.`, path);
}

function refusal(code: ErrorCode, message: string, path?: string): ClientFrameVerdict {
  const { retryable } = ERROR_CODES[code];
  return { problem: { code, message, retryable, ...(path === undefined ? {} : { details: { path } }) } };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A frame as a JSON object, or null. */
export function parsedObject(frame: Buffer): Json | null {
  try {
    const value: unknown = JSON.parse(frame.toString());
    return isObject(value) ? value : null;
  } catch {
    // The caller says what was expected.
    return null;
  }
}
