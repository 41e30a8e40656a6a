// The local copy of a conversation: its order, and what is kept of its items.

import { describe, expect, test } from 'vitest';
import { History, type HistoryChange } from './history.ts';
import type { Wire } from './item.ts';

function history(bounds: Partial<{ items: number; toolOutputs: number; audioBytes: number }> = {}) {
  const changes: HistoryChange[] = [];
  const kept = new History({ items: 100, toolOutputs: 100, audioBytes: 0, ...bounds }, (change) =>
    changes.push(change),
  );
  const ids = (): string[] => kept.items.map(({ itemId }) => itemId);
  return { kept, changes, ids };
}

const user = (id: string, ...content: Wire[]): Wire => ({ id, type: 'message', role: 'user', content });
const said = (id: string, transcript: string | null, status?: string): Wire => ({
  id,
  type: 'message',
  role: 'assistant',
  ...(status === undefined ? {} : { status }),
  content: [{ type: 'output_audio', transcript }],
});
const typed = (text: string): Wire => ({ type: 'input_text', text });
const call = (id: string, callId: string): Wire => ({
  id,
  type: 'function_call',
  call_id: callId,
  name: 'f',
  arguments: '{}',
});

describe('order', () => {
  test('is that of previous_item_id, in whatever order items come', () => {
    const links: [string, string | null][] = [
      ['a', null],
      ['b', 'a'],
      ['c', 'b'],
      ['d', 'c'],
    ];
    const permutations = (list: typeof links): (typeof links)[] =>
      list.length <= 1
        ? [list]
        : list.flatMap((one, at) =>
            permutations([...list.slice(0, at), ...list.slice(at + 1)]).map((rest) => [one, ...rest]),
          );
    for (const order of permutations(links)) {
      const { kept, ids } = history();
      for (const [id, previous] of order) kept.put(user(id, typed(id)), previous, 'completed');
      expect([order, ids()]).toEqual([order, ['a', 'b', 'c', 'd']]);
    }
  });

  test('null puts in front, nothing appends, and an item goes between two others', () => {
    const { kept, ids } = history();
    kept.put(user('b'), undefined, 'completed');
    kept.put(user('d'), undefined, 'completed');
    kept.put(user('a'), null, 'completed');
    kept.put(user('c'), 'b', 'completed');
    expect(ids()).toEqual(['a', 'b', 'c', 'd']);
    expect(kept.items.map(({ previousItemId }) => previousItemId)).toEqual([null, 'a', 'b', 'c']);
  });

  test('outputs of tools have a place and are not shown', () => {
    const { kept, ids } = history();
    kept.put(call('call', 'c1'), null, 'completed');
    kept.put({ id: 'out', type: 'function_call_output', call_id: 'c1', output: '42' }, 'call', 'completed');
    kept.put(said('answer', 'It is 42.'), 'out', 'completed');
    expect(ids()).toEqual(['call', 'answer']);
    expect(kept.items[0]).toMatchObject({ type: 'function_call', status: 'completed', output: '42' });
    expect(kept.outputItemOf('c1')).toBe('out');
  });

  test('words that come before their item begin it, and it moves to its place when that is known', () => {
    const { kept, ids } = history();
    kept.put(user('u1'), null, 'completed');
    kept.put(said('a1', 'Hi.'), 'u1', 'completed');
    kept.grow('u0', 0, 'transcript', 'late', 'user');
    expect(ids()).toEqual(['u1', 'a1', 'u0']);
    kept.put(user('u0', { type: 'input_audio', transcript: null }), 'u1', 'completed');
    expect(ids()).toEqual(['u1', 'u0', 'a1']);
    expect(kept.item('u0')).toMatchObject({ content: [{ type: 'input_audio', transcript: 'late' }] });
  });
});

describe('what is known of an item', () => {
  test('grows with its words, and each growth is a patch', () => {
    const { kept, changes } = history();
    kept.put(said('a', null, 'in_progress'), null, 'in_progress');
    kept.grow('a', 0, 'transcript', 'Good ', 'assistant');
    const before = kept.items;
    kept.grow('a', 0, 'transcript', 'day.', 'assistant');
    expect(kept.items[0]).toMatchObject({ content: [{ transcript: 'Good day.' }] });
    // What somebody saw before does not change under them.
    expect(before[0]).toMatchObject({ content: [{ transcript: 'Good ' }] });
    expect(changes.filter(({ kind }) => kind === 'delta')).toEqual([
      { kind: 'delta', itemId: 'a', contentIndex: 0, field: 'transcript', delta: 'Good ' },
      { kind: 'delta', itemId: 'a', contentIndex: 0, field: 'transcript', delta: 'day.' },
    ]);
  });

  test('is not erased by a frame that knows less', () => {
    const { kept } = history();
    kept.put(user('u', { type: 'input_audio', transcript: null }), null, 'completed');
    kept.complete('u', 0, 'transcript', 'hello', 'user');
    kept.put(user('u', { type: 'input_audio', transcript: null }), null, 'completed');
    expect(kept.item('u')).toMatchObject({ content: [{ transcript: 'hello' }] });
    kept.put(said('a', 'Whole.'), 'u', 'completed');
    kept.put(said('a', ''), 'u', 'completed');
    expect(kept.item('a')).toMatchObject({ content: [{ transcript: 'Whole.' }] });
  });

  test('keeps an image that the echo leaves out', () => {
    const { kept } = history();
    const image = 'data:image/png;base64,AAAA';
    kept.sending({
      itemId: 'u',
      type: 'message',
      role: 'user',
      status: 'completed',
      content: [{ type: 'input_image', image }],
    });
    kept.put(user('u', { type: 'input_image', image_url: null }), null, 'completed');
    expect(kept.item('u')).toMatchObject({ content: [{ type: 'input_image', image }] });
  });

  test('is not overwritten by fragments that are late', () => {
    const { kept } = history();
    kept.complete('a', 0, 'transcript', 'All of it.', 'assistant');
    kept.grow('a', 0, 'transcript', ' of it.', 'assistant');
    expect(kept.item('a')).toMatchObject({ content: [{ transcript: 'All of it.' }] });
  });

  test('is that of the newest frame that says it', () => {
    const { kept } = history();
    kept.put(said('a', 'Fist.', 'completed'), null, 'completed');
    kept.put(said('a', 'First.', 'completed'), null, 'completed');
    expect(kept.item('a')).toMatchObject({ content: [{ transcript: 'First.' }] });
  });

  test('ends where it was cut, whatever comes after', () => {
    const { kept } = history();
    kept.put(said('a', 'One two three'), null, 'in_progress');
    kept.cut('a', 0, 'One');
    kept.grow('a', 0, 'transcript', ' four', 'assistant');
    kept.put(said('a', 'One two three', 'incomplete'), null, 'completed');
    expect(kept.item('a')).toMatchObject({ status: 'incomplete', content: [{ transcript: 'One' }] });
  });

  test('has a status: what a frame says, else what the frame means', () => {
    const { kept } = history();
    kept.put(said('a', null), null, 'in_progress');
    expect(kept.item('a')?.status).toBe('in_progress');
    kept.put(said('a', 'x'), null, 'completed');
    kept.put(said('a', 'x'), null, 'in_progress');
    expect(kept.item('a')?.status).toBe('completed');
    kept.put(said('b', 'x', 'incomplete'), 'a', 'completed');
    expect(kept.item('b')?.status).toBe('incomplete');
  });

  test('is said once when nothing changes', () => {
    const { kept, changes } = history();
    kept.put(said('a', 'x', 'completed'), null, 'completed');
    const { length } = changes;
    kept.put(said('a', 'x', 'completed'), null, 'completed');
    expect(changes).toHaveLength(length);
  });
});

describe('bounds', () => {
  test('the oldest items go, with what stood unseen between them', () => {
    const { kept, ids, changes } = history({ items: 2 });
    kept.put(call('call', 'c1'), null, 'completed');
    kept.put({ id: 'out', type: 'function_call_output', call_id: 'c1', output: '42' }, 'call', 'completed');
    kept.put(user('u'), 'out', 'completed');
    kept.put(said('a', 'x'), 'u', 'completed');
    expect(ids()).toEqual(['u', 'a']);
    expect(changes).toContainEqual({ kind: 'deleted', itemId: 'call', dropped: true });
    kept.put(said('b', 'x'), 'a', 'completed');
    expect(ids()).toEqual(['a', 'b']);
  });

  test('the oldest outputs of tools go, and their calls stay', () => {
    const { kept } = history({ toolOutputs: 1 });
    kept.put(call('x', 'c1'), null, 'completed');
    kept.put(call('y', 'c2'), 'x', 'completed');
    kept.output('c1', 'one');
    kept.output('c2', 'two');
    expect(kept.items).toMatchObject([
      { callId: 'c1', output: null, status: 'completed' },
      { callId: 'c2', output: 'two' },
    ]);
  });

  test('sound is kept where that is wanted, the oldest goes first', () => {
    const { kept } = history({ audioBytes: 8 });
    kept.put(said('a', 'x'), null, 'completed');
    kept.put(said('b', 'y'), 'a', 'completed');
    kept.sound('a', 0, Buffer.from('aaaa'));
    kept.sound('b', 0, Buffer.from('bbbb'));
    expect(kept.item('a')).toMatchObject({ content: [{ audio: Buffer.from('aaaa').toString('base64') }] });
    kept.sound('b', 0, Buffer.from('cc'));
    expect(kept.item('a')).toMatchObject({ content: [{ type: 'output_audio', transcript: 'x' }] });
    expect(JSON.stringify(kept.item('a'))).not.toContain('audio":');
    expect(kept.item('b')).toMatchObject({ content: [{ audio: Buffer.from('bbbbcc').toString('base64') }] });
  });
});

test('items of other types keep their place, and legacy names of parts are understood', () => {
  const { kept } = history();
  kept.put({ id: 'm', type: 'mcp_list_tools', server_label: 's', tools: [] }, null, 'completed');
  kept.put({ id: 'x', type: 'something_new' }, 'm', 'completed');
  kept.put(
    {
      id: 'a',
      type: 'message',
      role: 'assistant',
      content: [{ type: 'audio', transcript: 'old' }, { type: 'text', text: 'older' }, null],
    },
    'x',
    'completed',
  );
  kept.put({ id: 'p', type: 'mcp_call', server_label: 's', name: 'f', arguments: '{}', output: 'o' }, 'a', 'completed');
  expect(kept.items).toMatchObject([
    {
      itemId: 'a',
      content: [
        { type: 'output_audio', transcript: 'old' },
        { type: 'output_text', text: 'older' },
      ],
    },
    { itemId: 'p', type: 'mcp_call', serverLabel: 's', output: 'o' },
  ]);
});
