import { CLIENT_EVENT_NAMES, type ClientEventName } from '@parley/core';
import { expect, test } from 'vitest';
import { clientFrameProblem } from './client-frame.ts';

const ALL = CLIENT_EVENT_NAMES;
const TEXT: readonly ClientEventName[] = ['text'];

function problem(frame: unknown, allowed: readonly ClientEventName[] = ALL): string | null {
  const text = typeof frame === 'string' ? frame : JSON.stringify(frame);
  const verdict = clientFrameProblem(Buffer.from(text), allowed);
  return 'problem' in verdict ? `${verdict.problem.code} ${String(verdict.problem.details?.['path'])}` : null;
}

const message = (content: unknown[], role = 'user') => ({
  type: 'conversation.item.create',
  item: { type: 'message', role, content },
});
const typed = { type: 'input_text', text: 'hello' };

test('sound passes where sound is allowed', () => {
  const frame = Buffer.from('{"type":"input_audio_buffer.append","audio":"AAAA"}');
  expect(clientFrameProblem(frame, ['audio'])).toEqual({ kind: 'audio' });
  expect(problem(frame.toString(), TEXT)).toBe('permission_denied type');
});

test.each([
  [{ type: 'input_audio_buffer.append', audio: 'AAAA', extra: 1 }, 'audio'],
  [{ type: 'input_audio_buffer.commit' }, 'commit'],
  [{ type: 'input_audio_buffer.clear' }, 'clear'],
  [{ type: 'response.create' }, 'respond'],
  [{ type: 'response.cancel' }, 'cancel'],
  [{ type: 'conversation.item.truncate', item_id: 'a', content_index: 0, audio_end_ms: 1 }, 'truncate'],
  [{ type: 'conversation.item.retrieve', item_id: 'a' }, 'retrieve'],
  [{ type: 'conversation.item.delete', item_id: 'a' }, 'delete'],
  [message([typed]), 'text'],
  [message([{ type: 'input_image', image_url: 'data:' }]), 'image'],
  [message([{ type: 'input_audio', audio: 'AAAA' }]), 'audio'],
] as const)('%j needs %s', (frame, name) => {
  expect(problem(frame, [name])).toBeNull();
  const others = ALL.filter((one) => one !== name);
  expect(problem(frame, others)).toMatch(/^permission_denied /);
});

test.each([
  [{ type: 'session.update', session: {} }, 'permission_denied type'],
  ['{"type":"input_audio_buffer.append","audio":"AA","type":"session.update"}', 'permission_denied type'],
  [
    { type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'c' } },
    'permission_denied item.type',
  ],
  [{ type: 'conversation.item.create', item: { type: 'function_call', call_id: 'c' } }, 'permission_denied item.type'],
  [message([typed], 'system'), 'permission_denied item.role'],
  [message([typed], 'assistant'), 'permission_denied item.role'],
  [message([{ type: 'output_text', text: 'x' }]), 'invalid_argument item.content.0.type'],
  [{ type: 'conversation.item.create' }, 'invalid_argument item'],
  [{ type: 'response.create', response: { instructions: 'x' } }, 'permission_denied response.instructions'],
  [{ type: 'response.create', response: { tools: [] } }, 'permission_denied response.tools'],
  [{ type: 'response.create', response: { tool_choice: 'required' } }, 'permission_denied response.tool_choice'],
  [{ type: 'response.create', response: { metadata: { parley_say: 's' } } }, 'permission_denied response.metadata'],
  [
    { type: 'response.create', response: { input: [message([typed], 'system').item] } },
    'permission_denied response.input.0.role',
  ],
  [{ type: '__proto__' }, 'invalid_argument type'],
  [{ type: 'vendor.anything' }, 'invalid_argument type'],
  [{ audio: 'AA' }, 'invalid_argument type'],
  ['[]', 'invalid_argument undefined'],
  ['{"type":', 'invalid_argument undefined'],
])('%j is refused', (frame, refusal) => {
  expect(problem(frame)).toBe(refusal);
});

test('a client may ask for an answer of its own kind', () => {
  const response = {
    conversation: 'none',
    metadata: { mine: '1' },
    input: [{ type: 'item_reference', id: 'item_1' }, message([typed]).item],
    output_modalities: ['text'],
  };
  expect(problem({ type: 'response.create', response })).toBeNull();
});
