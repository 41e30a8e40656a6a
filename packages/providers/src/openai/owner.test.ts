// What a connection shows to its owner: whoever has no clients and runs the tools itself.

import { afterEach, expect, test } from 'vitest';
import { createModel } from '../registry.ts';
import { SESSION } from '../test-support/connected.ts';
import { type GaPeer, gaPeer, spokenAnswer } from '../test-support/ga-peer.ts';

const peers: GaPeer[] = [];
afterEach(async () => {
  for (const peer of peers.splice(0)) await peer[Symbol.asyncDispose]();
});

async function owned(settings?: Record<string, unknown>) {
  const peer = await gaPeer();
  peers.push(peer);
  const model = createModel('openai', {
    base_url: peer.base_url,
    key: 'sk-test-0123456789',
    headers: { 'x-tenant': 'acme' },
  });
  const connection = await model.connect({ ...SESSION, ...(settings === undefined ? {} : { settings }) });
  const frames: { type: string | null; decoded: boolean }[] = [];
  const order: string[] = [];
  connection.owner?.onFrame((type, _, event) => {
    frames.push({ type, decoded: event !== null });
    order.push(`frame ${type}`);
  });
  connection.onEvent((event) => order.push(`event ${event.type}`));
  return { peer, connection, frames, order };
}

test('sees every frame, tools and what clients are not shown too, each before the event that follows from it', async () => {
  const { peer, connection, frames, order } = await owned();
  const item = {
    id: 'item_c',
    type: 'function_call',
    status: 'completed',
    call_id: 'c1',
    name: 'lookup',
    arguments: '{}',
  };
  peer.say(
    ...spokenAnswer(1, 'Hello.', Buffer.alloc(4800, 3)),
    { type: 'response.function_call_arguments.delta', item_id: 'item_c', delta: '{}' },
    { type: 'response.output_item.done', response_id: 'resp_1', output_index: 1, item },
    { type: 'something.new' },
  );
  await expect.poll(() => frames.at(-1)?.type).toBe('something.new');
  const types = frames.map(({ type }) => type);
  expect(types).toContain('response.function_call_arguments.delta');
  expect(types).toContain('rate_limits.updated');
  expect(frames.find(({ type }) => type === 'response.output_audio.delta')).toMatchObject({ decoded: false });
  expect(frames.find(({ type }) => type === 'response.done')).toMatchObject({ decoded: true });
  expect(order.indexOf('frame response.created')).toBe(order.indexOf('event response.started') - 1);
  expect(connection.media.counts().reply_audio_ms).toBe(100);
  connection.close();
});

test('sends whole items, deletions and frames of its own, under ids that it chose', async () => {
  const { peer, connection } = await owned();
  const item = { id: 'item_1', type: 'message', role: 'user', content: [{ type: 'input_image', image_url: 'data:,' }] };
  connection.send({ type: 'add_item', item, previous_item_id: 'root' }, 'event_mine');
  connection.send({ type: 'delete_item', item_id: 'item_1' });
  connection.owner?.send({ type: 'conversation.item.truncate', item_id: 'a', content_index: 1, audio_end_ms: 5 });
  connection.owner?.sendAudio(Buffer.from([1, 2, 3]));
  await peer.next('input_audio_buffer.append');
  expect(peer.received.slice(1)).toMatchObject([
    { type: 'conversation.item.create', event_id: 'event_mine', previous_item_id: 'root', item },
    { type: 'conversation.item.delete', item_id: 'item_1' },
    { type: 'conversation.item.truncate', content_index: 1 },
    { type: 'input_audio_buffer.append', audio: 'AQID' },
  ]);
  connection.close();
});

test('settings of the provider go over what the session is, now and in an update; headers go with the handshake', async () => {
  const { peer, connection } = await owned({ audio: { output: { speed: 1.2 } }, tool_choice: 'none' });
  connection.send({ type: 'update', instructions: 'New.', settings: { max_output_tokens: 50 } });
  await peer.next('session.update');
  await peer.next('session.update');
  const [first, second] = peer.received.filter(({ type }) => type === 'session.update');
  expect(first).toMatchObject({ session: { tool_choice: 'none', audio: { output: { speed: 1.2, voice: 'marin' } } } });
  expect(second).toMatchObject({ session: { instructions: 'New.', max_output_tokens: 50 } });
  expect(peer.request.headers['x-tenant']).toBe('acme');
  connection.close();
});
