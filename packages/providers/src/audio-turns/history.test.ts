import { expect, test } from 'vitest';
import { History, type HistoryItem } from './history.ts';

// What a completion is told of the conversation before it.

const LIMITS = { items_max: 100, chars_max: 1000, audio_bytes_max: 48 * 1000 };

function history(items: HistoryItem[], limits: Partial<typeof LIMITS> = {}): History {
  const made = new History({ ...LIMITS, ...limits });
  for (const item of items) made.add(item);
  return made;
}

function user(id: string, text: string, pcm: Buffer | null = null): HistoryItem {
  return { kind: 'user', id, text, pcm };
}

function call(id: string, host_id = `host_${id}`): HistoryItem {
  return { kind: 'call', id, call_id: `call_${id}`, host_id, name: 'find', arguments: '{}' };
}

function output(id: string, of: string): HistoryItem {
  return { kind: 'output', id, call_id: `call_${of}`, output: `"${of}"` };
}

test('sound stands for words until they are written down, and never twice', () => {
  const made = history([
    user('u1', '', Buffer.alloc(4800)),
    { kind: 'assistant', id: 'a1', text: 'Yes.', audio_ms: 5 },
  ]);
  expect(made.messages()).toMatchObject([
    { role: 'user', content: [{ type: 'input_audio', input_audio: { format: 'wav' } }] },
    { role: 'assistant', content: 'Yes.' },
  ]);
  made.written('u1', 'hello');
  expect(made.messages()[0]).toEqual({ role: 'user', content: 'hello' });
});

test('sound that could not be written down is kept as far as there is room, the newest always', () => {
  const second = Buffer.alloc(48 * 1000);
  const made = history([user('u1', '', second), user('u2', '', second), user('u3', '', Buffer.alloc(48 * 9000))]);
  const kinds = made.messages().map(({ content }) => (typeof content === 'string' ? content : 'sound'));
  expect(kinds).toEqual([
    '(something was said that was not written down)',
    '(something was said that was not written down)',
    'sound',
  ]);
});

test('calls of one answer stand together with their outputs, under the ids of their host', () => {
  const made = history([user('u1', 'both'), call('c1'), call('c2'), output('o2', 'c2'), output('o1', 'c1')]);
  expect(made.messages().slice(1)).toMatchObject([
    { role: 'assistant', tool_calls: [{ id: 'host_c1' }, { id: 'host_c2' }] },
    { role: 'tool', tool_call_id: 'host_c1', content: '"c1"' },
    { role: 'tool', tool_call_id: 'host_c2', content: '"c2"' },
  ]);
});

test('a call without its output is left out, and so is an output without its call', () => {
  const made = history([call('c1'), user('u1', 'stop'), output('o9', 'c9')]);
  expect(made.messages()).toEqual([{ role: 'user', content: 'stop' }]);
});

test('the oldest goes first, the latest turn stays however long it is', () => {
  const many = Array.from({ length: 30 }, (_, n) => user(`u${n}`, 'x'.repeat(100)));
  expect(history(many).messages()).toHaveLength(10);
  expect(history(many, { items_max: 4 }).messages()).toHaveLength(4);
  const long = history([...many, user('last', 'y'.repeat(5000))]);
  expect(long.messages().at(-1)?.['content']).toHaveLength(5000);
  expect(long.messages().length).toBeLessThanOrEqual(2);
});

test('an answer that was cut keeps the words that were heard', () => {
  const made = history([{ kind: 'assistant', id: 'a1', text: 'one two three four', audio_ms: 4000 }]);
  const item = made.find('a1');
  if (item?.kind === 'assistant') made.truncate(item, 2000);
  expect(made.messages()).toEqual([{ role: 'assistant', content: 'one two' }]);
});

test('items stand where they were put', () => {
  const made = history([user('u1', 'a'), user('u2', 'b')]);
  expect(made.add(user('u3', 'between'), 'u1')).toBe(true);
  expect(made.add(user('u0', 'first'), null)).toBe(true);
  expect(made.add(user('u9', 'nowhere'), 'missing')).toBe(false);
  expect(made.messages().map(({ content }) => content)).toEqual(['first', 'a', 'between', 'b']);
  expect(made.before('u3')).toBe('u1');
});
