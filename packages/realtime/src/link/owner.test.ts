// A model whose adapter knows only clients: the session has its frames, its events, and its commands.

import type { ModelCommand, ModelEvent } from '@parley/core';
import { capabilityOf } from '@parley/core';
import type { ModelConnection, RealtimeModel } from '@parley/providers';
import { memorySocketPair } from '@parley/transport';
import { expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import { RealtimeRunner } from '../runner.ts';
import { tool } from '../tool.ts';

test('is run all the same: words, tools, and sends that resolve', async () => {
  const commands: ModelCommand[] = [];
  let event: (event: ModelEvent) => void = () => {};
  let frame: (frame: Buffer, kind: 'audio' | 'other') => void = () => {};
  const media: string[] = [];
  const [socket] = memorySocketPair();
  const connection: ModelConnection = {
    provider_session_id: undefined,
    send: (command) => void commands.push(command),
    onEvent: (listener) => (event = listener),
    media: {
      socket,
      send: (sent) => void media.push(sent.toString()),
      onFrame: (listener) => (frame = listener),
      counts: () => ({ user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 }),
    },
    closed: new Promise(() => {}),
    close: () => {},
  };
  const capabilities = capabilityOf('simulator');
  if (!capabilities) throw new Error('no row');
  const model: RealtimeModel = { provider: 'plain', capabilities, connect: async () => connection };
  const look = tool({ name: 'look', description: '', execute: () => 'seen' });
  const session = await new RealtimeRunner(new RealtimeAgent({ name: 'desk', tools: [look] }), { model }).run();

  await session.sendMessage('hello');
  void session.sendAudio(new Uint8Array([1, 2, 3]));
  expect(commands).toMatchObject([{ type: 'add_text', role: 'user', text: 'hello' }, { type: 'respond' }]);
  expect(media).toEqual(['{"type":"input_audio_buffer.append","audio":"AQID"}']);

  event({ type: 'response.started', response_id: 'r1', cause: 'model' });
  const item = {
    id: 'i1',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: 'Hi.' }],
  };
  frame(Buffer.from(JSON.stringify({ type: 'conversation.item.done', item })), 'other');
  event({ type: 'tool.called', call_id: 'c1', name: 'look', arguments: '{}', source: 'model', response_id: 'r1' });
  await expect.poll(() => commands.at(-1)).toMatchObject({ type: 'tool_output', call_id: 'c1', output: 'seen' });
  event({ type: 'response.completed', response_id: 'r1', status: 'completed', text: 'Hi.', audio_ms: 0 });
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
