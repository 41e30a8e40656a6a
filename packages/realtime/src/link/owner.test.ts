// A model whose adapter knows only clients: the session has its frames, its events, and its commands.

import type { ModelCommand, ModelEvent } from '@parley/core';
import { capabilityOf } from '@parley/core';
import type { ModelConnection, RealtimeModel } from '@parley/providers';
import { memorySocketPair } from '@parley/transport';
import { expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import type { RealtimeItem } from '../history/item.ts';
import { RealtimeRunner } from '../runner.ts';
import { tool } from '../tool.ts';

async function run(agent: RealtimeAgent, options: Parameters<RealtimeRunner['run']>[0] = {}) {
  const said: { event: (event: ModelEvent) => void; frame: (frame: Buffer, kind: 'audio' | 'other') => void } = {
    event: () => {},
    frame: () => {},
  };
  const commands: ModelCommand[] = [];
  const media: string[] = [];
  const [socket] = memorySocketPair();
  const connection: ModelConnection = {
    provider_session_id: undefined,
    send: (command) => void commands.push(command),
    onEvent: (listener) => (said.event = listener),
    media: {
      socket,
      send: (sent) => void media.push(sent.toString()),
      onFrame: (listener) => (said.frame = listener),
      counts: () => ({ user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 }),
    },
    closed: new Promise(() => {}),
    close: () => {},
  };
  const capabilities = capabilityOf('simulator');
  if (!capabilities) throw new Error('no row');
  const model: RealtimeModel = { provider: 'plain', capabilities, connect: async () => connection };
  const session = await new RealtimeRunner(agent, { model }).run(options);
  return { session, commands, media, said };
}

test('is told of calls that another connection made as the items that they are', async () => {
  const history = [
    { itemId: 'i1', type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'hi' }] },
    {
      itemId: 'i2',
      type: 'function_call',
      status: 'completed',
      callId: 'c1',
      name: 'look',
      arguments: '{}',
      output: '7',
    },
  ] as const satisfies RealtimeItem[];
  const { session, commands } = await run(new RealtimeAgent({ name: 'desk' }), { history });
  expect(commands).toMatchObject([
    { type: 'add_text', role: 'user', text: 'hi' },
    { type: 'add_item', item: { type: 'function_call', call_id: 'c1', name: 'look' } },
    { type: 'add_item', item: { type: 'function_call_output', call_id: 'c1', output: '7' } },
  ]);
  expect(session.history).toMatchObject(history);
  await session.close();
});

test('is run all the same: words, tools, and sends that resolve', async () => {
  const look = tool({ name: 'look', description: '', execute: () => 'seen' });
  const { session, commands, media, said } = await run(new RealtimeAgent({ name: 'desk', tools: [look] }));

  await session.sendMessage('hello');
  void session.sendAudio(new Uint8Array([1, 2, 3]));
  expect(commands).toMatchObject([{ type: 'add_text', role: 'user', text: 'hello' }, { type: 'respond' }]);
  expect(media).toEqual(['{"type":"input_audio_buffer.append","audio":"AQID"}']);

  said.event({ type: 'response.started', response_id: 'r1', cause: 'model' });
  const item = {
    id: 'i1',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: 'Hi.' }],
  };
  said.frame(Buffer.from(JSON.stringify({ type: 'conversation.item.done', item })), 'other');
  said.event({ type: 'tool.called', call_id: 'c1', name: 'look', arguments: '{}', source: 'model', response_id: 'r1' });
  await expect.poll(() => commands.at(-1)).toMatchObject({ type: 'tool_output', call_id: 'c1', output: 'seen' });
  said.event({ type: 'response.completed', response_id: 'r1', status: 'completed', text: 'Hi.', audio_ms: 0 });
  expect(commands.at(-1)).toEqual({ type: 'respond' });
  expect(session.history).toMatchObject([
    { role: 'user', content: [{ text: 'hello' }] },
    { role: 'assistant', content: [{ text: 'Hi.' }] },
    { type: 'function_call', name: 'look', output: 'seen' },
  ]);
  await session.updateAgent(new RealtimeAgent({ name: 'other', instructions: 'Other.' }));
  expect(commands.at(-1)).toMatchObject({ type: 'update', instructions: 'Other.' });
  await session.close();
});
