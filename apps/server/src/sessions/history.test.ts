import type { EventRecord, SessionEvent } from '@parley/core';
import { expect, test } from 'vitest';
import { History } from './history.ts';

function of(...events: SessionEvent[]): History {
  const history = new History();
  for (const [n, event] of events.entries()) history.event({ ...event, seq: n + 1, at_ms: n } as EventRecord);
  return history;
}

const user = (text: string): SessionEvent => ({ type: 'turn.completed', turn_id: 't', source: 'audio', text });
const agent = (text: string, response_id: string): SessionEvent => {
  return { type: 'transcript.completed', track: 'agent', text, response_id };
};

test('it is what both sides said, in order, without what could not be written down', () => {
  const history = of(user('Where is order 1?'), agent('It ships on Monday.', 'r1'), user(''), {
    type: 'input.injected',
    text: 'The user is in a hurry.',
    respond: false,
    by: 'api',
  });
  expect(history.lines()).toEqual([
    { type: 'add_text', role: 'user', text: 'Where is order 1?' },
    { type: 'add_text', role: 'assistant', text: 'It ships on Monday.' },
    { type: 'add_text', role: 'user', text: 'The user is in a hurry.' },
  ]);
});

test('of an answer that was cut it keeps what was heard', () => {
  const done: SessionEvent = {
    type: 'response.completed',
    response_id: 'r1',
    status: 'cancelled',
    text: 'One two three four',
    audio_ms: 1000,
  };
  const history = of(
    agent('One two three four', 'r1'),
    { type: 'response.interrupted', response_id: 'r1', played_ms: 500 },
    done,
  );
  expect(history.lines()).toEqual([{ type: 'add_text', role: 'assistant', text: 'One two' }]);
});

test('an answer that was complete before it was cut keeps what was heard too', () => {
  const history = of(
    agent('One two three four', 'r1'),
    { type: 'response.completed', response_id: 'r1', status: 'completed', text: '', audio_ms: 1000 },
    { type: 'response.interrupted', response_id: 'r1', played_ms: 500 },
  );
  expect(history.lines()).toEqual([{ type: 'add_text', role: 'assistant', text: 'One two' }]);
});

test('a long conversation keeps its newest lines, within bounds', () => {
  const history = of(...Array.from({ length: 500 }, (_, n) => user(`${n} ${'x'.repeat(1000)}`)));
  const lines = history.lines();
  expect(lines.length).toBeLessThanOrEqual(64);
  expect(lines.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(32_768);
  expect(lines.at(-1)?.text).toMatch(/^499 /);
});
