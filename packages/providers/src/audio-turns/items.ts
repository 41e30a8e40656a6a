// Items of the conversation as clients and the server make them: what stands in `conversation.item.create` and in
// `response.input`, and how what is kept is shown.

import { newId } from '@parley/core';
import { isObject, listIn, textIn, type Wire } from '../openai/wire.ts';
import type { HistoryItem } from './history.ts';
import { samplesOf } from './pcm.ts';
import { Refusal } from './refusal.ts';

/** An item that was made elsewhere. @throws Refusal */
export function itemOf(wire: unknown, param: string): HistoryItem {
  if (!isObject(wire)) throw new Refusal('invalid_value', `${param} must be an object`, param);
  const id = textIn(wire, 'id') ?? newId('item');
  if (wire['type'] === 'function_call_output') {
    return { kind: 'output', id, call_id: textIn(wire, 'call_id') ?? '', output: textIn(wire, 'output') ?? '' };
  }
  if (wire['type'] === 'function_call') {
    // Of a conversation that is continued: this host has no other name for it.
    const call_id = textIn(wire, 'call_id') ?? '';
    const name = textIn(wire, 'name') ?? '';
    return { kind: 'call', id, call_id, host_id: call_id, name, arguments: textIn(wire, 'arguments') ?? '' };
  }
  if (wire['type'] !== 'message') {
    throw new Refusal(
      'invalid_value',
      'an item must be a message, a function_call or a function_call_output',
      `${param}.type`,
    );
  }
  const parts = listIn(wire, 'content');
  const text = parts
    .map((part) => textIn(part, 'text') ?? '')
    .filter((one) => one !== '')
    .join('\n');
  if (wire['role'] === 'system') return { kind: 'system', id, text };
  if (wire['role'] === 'assistant') return { kind: 'assistant', id, text, audio_ms: 0 };
  if (wire['role'] !== 'user')
    throw new Refusal('invalid_value', 'a role is user, assistant or system', `${param}.role`);
  const sounds = parts.filter(({ type }) => type === 'input_audio');
  return { kind: 'user', id, text, pcm: sounds.length === 0 ? null : soundOf(sounds, param) };
}

function soundOf(parts: readonly Wire[], param: string): Buffer {
  const pieces = parts.map((part) => {
    const pcm = samplesOf(textIn(part, 'audio') ?? '');
    if (pcm === null) throw new Refusal('invalid_value', 'expected base64 of 16-bit samples', `${param}.content`);
    return pcm;
  });
  return Buffer.concat(pieces);
}

/** An item as frames show it. Sound is not sent back. */
export function wireOf(item: HistoryItem): Wire {
  const { id } = item;
  const object = 'realtime.item';
  const status = 'completed';
  switch (item.kind) {
    case 'call': {
      const { name, call_id, arguments: text } = item;
      return { id, object, type: 'function_call', status, name, call_id, arguments: text };
    }
    case 'output':
      return { id, object, type: 'function_call_output', status, call_id: item.call_id, output: item.output };
    case 'assistant': {
      const spoken = item.audio_ms > 0;
      const part = spoken ? { type: 'output_audio', transcript: item.text } : { type: 'output_text', text: item.text };
      return { id, object, type: 'message', status, role: 'assistant', content: [part] };
    }
    default: {
      const heard = item.kind === 'user' && item.pcm !== null;
      const words = { type: 'input_text', text: item.text };
      // Strict clients want the key, also where nothing is known yet.
      const content = heard
        ? [...(item.text === '' ? [] : [words]), { type: 'input_audio', transcript: null }]
        : [words];
      return { id, object, type: 'message', status, role: item.kind, content };
    }
  }
}
