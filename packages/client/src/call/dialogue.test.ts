import { expect, test } from 'vitest';
import type { SocketFrame } from '../frame-line.ts';
import { type Action, cutResponse, type Dialogue, hear, newDialogue } from './dialogue.ts';

function heard(state: Dialogue, ...frames: Record<string, unknown>[]): Action[] {
  return frames.flatMap((frame) => hear(state, frame as SocketFrame));
}

const sessionWith = (turn_detection: unknown) => ({
  type: 'session.created',
  session: { audio: { input: { turn_detection } } },
});

test('transcripts grow, and are final once', () => {
  const state = newDialogue();
  const actions = heard(
    state,
    { type: 'response.output_audio_transcript.delta', item_id: 'i', delta: 'Hel' },
    { type: 'response.output_audio_transcript.delta', item_id: 'i', delta: 'lo' },
    { type: 'response.output_audio_transcript.done', item_id: 'i', transcript: 'Hello' },
    { type: 'conversation.item.input_audio_transcription.completed', item_id: 'u', transcript: 'Hi' },
  );
  expect(actions.map((action) => action.do === 'transcript' && action.update)).toEqual([
    { track: 'agent', itemId: 'i', text: 'Hel', final: false },
    { track: 'agent', itemId: 'i', text: 'Hello', final: false },
    { track: 'agent', itemId: 'i', text: 'Hello', final: true },
    { track: 'user', itemId: 'u', text: 'Hi', final: true },
  ]);
  expect(state.texts.size).toBe(0);
});

test('what the user wrote is a transcript; a tool output is not', () => {
  const state = newDialogue();
  const item = { id: 'u', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] };
  expect(heard(state, { type: 'conversation.item.added', item })).toEqual([
    { do: 'transcript', update: { track: 'user', itemId: 'u', text: 'Hi', final: true } },
  ]);
  expect(heard(state, { type: 'conversation.item.added', item: { id: 'f', type: 'function_call_output' } })).toEqual(
    [],
  );
});

test('speech cuts the answer, and only a provider that does not stop by itself is told to', () => {
  const speech = { type: 'input_audio_buffer.speech_started' };
  const of = (turn_detection: unknown): Action[] => heard(newDialogue(), sessionWith(turn_detection), speech);
  expect(of({ type: 'server_vad', interrupt_response: true })).toEqual([{ do: 'interrupt', cancel: false }]);
  expect(of(undefined)).toEqual([{ do: 'interrupt', cancel: true }]);
  expect(of({ type: 'server_vad', interrupt_response: false })).toEqual([]);
});

test('what arrives of an answer that was cut is not played', () => {
  const state = newDialogue();
  const audio = { type: 'response.output_audio.delta', response_id: 'r', item_id: 'i', delta: 'AAA=' };
  expect(heard(state, { type: 'response.created', response: { id: 'r' } }, audio)).toHaveLength(1);
  expect(cutResponse(state)).toBe('r');
  expect(heard(state, audio)).toEqual([]);
  expect(heard(state, { ...audio, response_id: 'r2' })).toHaveLength(1);
  heard(state, { type: 'response.done', response: { id: 'r' } });
  expect(cutResponse(state)).toBeNull();
});

test('a provider that was faster than our cancel is no error', () => {
  const state = newDialogue();
  expect(heard(state, { type: 'error', error: { code: 'response_cancel_not_active', message: 'no' } })).toEqual([]);
  expect(heard(state, { type: 'error', error: { code: 'invalid_value', message: 'no' } })).toEqual([
    { do: 'error', code: 'invalid_value', message: 'no' },
  ]);
});

test('tool calls are followed by the log, each entry once', () => {
  const state = newDialogue();
  const called = {
    seq: 4,
    at_ms: 1,
    type: 'tool.called',
    call_id: 'c',
    name: 'lookup',
    execution_id: 'e',
    arguments: '{}',
  };
  const completed = {
    ...called,
    seq: 5,
    type: 'tool.completed',
    status: 'succeeded',
    output: { ok: true },
    duration_ms: 3,
  };
  const frame = (event: unknown) => ({ type: 'parley.event', event });
  const updates = heard(state, frame(called), frame(called), frame(completed)).filter((action) => action.do === 'tool');
  expect(updates).toMatchObject([
    { update: { callId: 'c', name: 'lookup', status: 'called' } },
    { update: { status: 'succeeded', output: { ok: true }, durationMs: 3 } },
  ]);
  expect(state.toolsRunning.size).toBe(0);
  expect(state.seq).toBe(5);
});

test('between a tool call and the answer to it the call is not idle', () => {
  const state = newDialogue();
  heard(state, { type: 'response.created', response: { id: 'r' } });
  heard(state, {
    type: 'response.done',
    response: { id: 'r', status: 'completed', output: [{ type: 'function_call' }] },
  });
  expect(state.awaiting).toBe(true);
  heard(state, { type: 'response.created', response: { id: 'r2' } });
  heard(state, { type: 'response.done', response: { id: 'r2', status: 'completed', output: [{ type: 'message' }] } });
  expect(state.awaiting).toBe(false);
});

test('unknown frames and unknown entries pass', () => {
  const state = newDialogue();
  expect(heard(state, { type: 'rate_limits.updated' })).toEqual([]);
  expect(heard(state, { type: 'parley.event', event: { seq: 1, at_ms: 1, type: 'of.tomorrow' } })).toHaveLength(1);
});
