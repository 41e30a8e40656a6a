import type { EventRecord, SessionEvent } from '@parley/core';
import { expect, test } from 'vitest';
import { History } from './history.ts';

function of(...events: SessionEvent[]): History {
  const history = new History();
  for (const [n, event] of events.entries()) history.event({ ...event, seq: n + 1, at_ms: n } as EventRecord);
  return history;
}

const user = (text: string): SessionEvent => ({ type: 'turn.completed', turn_id: 't', source: 'audio', text });
const agent = (text: string, response_id: string, audio_ms = 1000): SessionEvent => {
  return { type: 'response.completed', response_id, item_id: `i_${response_id}`, status: 'completed', text, audio_ms };
};
const texts = (history: History): unknown[] => history.replay().map((one) => 'text' in one && one.text);

test('it is what both sides said, in order, without what could not be written down', () => {
  const history = of(user('Where is order 1?'), agent('It ships on Monday.', 'r1'), user(''));
  history.command({ type: 'add_text', role: 'user', text: 'The user is in a hurry.' });
  expect(history.replay()).toEqual([
    { type: 'add_text', role: 'user', text: 'Where is order 1?' },
    { type: 'add_text', role: 'assistant', text: 'It ships on Monday.' },
    { type: 'add_text', role: 'user', text: 'The user is in a hurry.' },
  ]);
});

test('of an answer that was cut it keeps what was heard, whichever is known first', () => {
  const cut: SessionEvent = { type: 'response.interrupted', response_id: 'r1', played_ms: 500 };
  expect(texts(of(cut, agent('One two three four', 'r1')))).toEqual(['One two']);
  expect(texts(of(agent('One two three four', 'r1'), cut))).toEqual(['One two']);
  const truncated: SessionEvent = { type: 'item.truncated', item_id: 'i_r1', audio_ms: 500 };
  expect(texts(of(agent('One two three four', 'r1'), truncated))).toEqual(['One two']);
});

test('an answer that was cut twice keeps what was heard at first', () => {
  const cut = (audio_ms: number): SessionEvent => ({ type: 'item.truncated', item_id: 'i_r1', audio_ms });
  expect(texts(of(agent('One two three four', 'r1'), cut(500), cut(800)))).toEqual(['One two']);
});

test('a tool and what it returned are told together, as the items that they are, and a call without an end is not', () => {
  const called = (call_id: string): SessionEvent => {
    const call = { call_id, name: 'lookup', arguments: '{"n":1}', execution_id: 'e1' };
    return { type: 'tool.called', ...call, source: 'model' };
  };
  const ended: SessionEvent = {
    type: 'tool.completed',
    call_id: 'c1',
    name: 'lookup',
    execution_id: 'e1',
    status: 'succeeded',
    output: { day: 'Friday' },
    duration_ms: 1,
  };
  const history = of(called('c1'), called('c2'), ended);
  expect(history.replay()).toMatchObject([
    { type: 'add_item', item: { type: 'function_call', call_id: 'c1', name: 'lookup', arguments: '{"n":1}' } },
    { type: 'add_item', item: { type: 'function_call_output', call_id: 'c1', output: '{"day":"Friday"}' } },
  ]);
});

test('a call that is told to a connection is part of it, as one that the model made', () => {
  const history = of();
  const call = { call_id: 'c1', name: 'lookup', arguments: '{}' };
  history.command({ type: 'add_item', item: { id: 'i1', type: 'function_call', ...call } });
  expect(history.replay()).toEqual([]);
  history.command({ type: 'add_item', item: { id: 'i2', type: 'function_call_output', call_id: 'c1', output: '7' } });
  expect(history.replay()).toMatchObject([
    { item: { type: 'function_call', ...call } },
    { item: { type: 'function_call_output', call_id: 'c1', output: '7' } },
  ]);
});

test('an output that is too long is cut, and does not push itself out', () => {
  const history = new History({ entries_max: 10, chars_max: 100 });
  history.event({
    type: 'tool.called',
    call_id: 'c1',
    name: 'page',
    arguments: '{}',
    execution_id: 'e',
    source: 'model',
  });
  history.command({ type: 'tool_output', call_id: 'c1', output: 'x'.repeat(1_000) });
  expect(history.replay()).toMatchObject([{}, { item: { output: 'x'.repeat(94) } }]);
});

test('what came after a version is told alone', () => {
  const history = of(user('one'));
  const { version } = history;
  history.command({ type: 'add_text', role: 'user', text: 'two' });
  expect(history.replay(version)).toEqual([{ type: 'add_text', role: 'user', text: 'two' }]);
});

test('a long conversation keeps its newest lines, within bounds', () => {
  const history = of(...Array.from({ length: 500 }, (_, n) => user(`${n} ${'x'.repeat(1000)}`)));
  const lines = texts(history) as string[];
  expect(lines.length).toBeLessThanOrEqual(200);
  expect(lines.join('').length).toBeLessThanOrEqual(64_000);
  expect(lines.at(-1)).toMatch(/^499 /);
});
