// A provider without a socket of its own, over the transports that are bridged to it: sound in real time, words both
// ways, and the tool on the server.

import { Agent } from '@parley/session';
import { startSimulator } from '@parley/simulator';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import { expect, test, vi } from 'vitest';
import { Caller } from './support/caller.ts';
import { House, SCRIPT } from './support/house.ts';

vi.setConfig({ testTimeout: 60_000 });

async function open(transport: 'webrtc' | 'websocket') {
  const stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator({ script: SCRIPT, voice: 'coded' }));
  const providers = { openrouter: { base_url: `${simulator.url}/api/v1`, key: 'any-key' } };
  const house = stack.use(await House.open({ providers }));
  const agent = new Agent('support');
  agent.skill('find_order', { input: { type: 'object' } }, () => ({ day: 'Monday' }));
  agent.session('voice', { provider: 'openrouter', transport, tools: ['find_order'] });
  await house.serve(agent);
  return { house, simulator, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('over WebRTC', async () => {
  await using world = await open('webrtc');
  const { house, simulator } = world;
  const session = await house.start('support.voice');
  expect(session).toMatchObject({ media: 'bridge', model: 'openai/gpt-audio' });
  await using caller = await Caller.call(house.server.url, session);
  await caller.next('session.created');
  await caller.speak('order 1');
  expect(await caller.words()).toBe('Order 1 ships on Monday.');
  expect(simulator.turns()[0]).toMatchObject({ host: 'openrouter', heard: 'order 1', called: ['find_order'] });
});

test('over a WebSocket', async () => {
  await using world = await open('websocket');
  const { house, simulator } = world;
  const { client } = await house.call('support.voice');
  const pcm = await encodeSpeech('order 1');
  const all = Buffer.concat([Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength), Buffer.alloc(48 * 1000)]);
  for (let at = 0; at < all.length; at += 960) {
    client.send({ type: 'input_audio_buffer.append', audio: all.subarray(at, at + 960).toString('base64') });
  }
  await client.next('response.output_audio.done');
  const sound = client.frames
    .filter(({ type }) => type === 'response.output_audio.delta')
    .map((frame) => Buffer.from(String(frame['delta']), 'base64'));
  const heard = new Int16Array(Uint8Array.from(Buffer.concat(sound)).buffer);
  expect(await decodeSpeech(heard, 24_000)).toBe('Order 1 ships on Monday.');
  expect(simulator.turns().map(({ status }) => status)).toEqual(['completed', 'completed']);
});
