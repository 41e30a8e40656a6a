// The WebSocket of the OpenAI door, with the clients that people use, unmodified.

import { RealtimeAgent, tool } from '@openai/agents-realtime';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificate } from './support/certificate.ts';
import { House } from './support/house.ts';
import { agentsCall, base64, nodeCall, samples } from './support/openai-clients.ts';
import { type SupportAgent, supportAgent } from './support/support-agent.ts';

const KEY = 'a-key-of-thirty-two-characters-0';
const VOICE = { modalities: ['audio', 'text'] as ('audio' | 'text')[], instructions: 'Be kind.', voice: 'cedar' };
const STORY = 'Once upon a time there was a parcel that travelled through seven countries and met somebody in each.';

let tls: { cert: string; key: string };
let house: House;
let support: SupportAgent;
beforeAll(async () => {
  tls = await certificate();
  house = await House.open({ keys: [KEY], simulator: { pace: 20 } });
  support = supportAgent(VOICE);
  await house.serve(support.agent);
});
afterAll(() => house[Symbol.asyncDispose]());

test('agents-realtime holds a call: its session.update is answered, text and sound cross, the tool runs on the server', async () => {
  const agent = new RealtimeAgent({ name: 'support', instructions: 'Never be kind.', voice: 'alloy' });
  using call = await agentsCall(agent, `${house.server.url}/v1/realtime?model=support.voice`, KEY);
  const created = (await call.frames.next('session.created'))['session'] as Record<string, unknown>;
  expect(created).toMatchObject({ model: 'support.voice', instructions: '', tools: [], audio: { output: { voice: 'cedar' } } });
  const updated = (await call.frames.next('session.updated'))['session'];
  expect(updated).toEqual(created);
  const session_id = created['id'] as string;

  call.session.sendMessage('order 1');
  await call.frames.next('response.done');
  const spoken = await call.frames.next('response.output_audio_transcript.done');
  expect(spoken['transcript']).toBe('Order 1 ships on Monday.');
  await call.frames.next('response.done');
  call.sound.length = 0;
  const pcm = await encodeSpeech('order 2');
  call.session.sendAudio(Uint8Array.from(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)).buffer);
  await call.frames.next('response.output_audio_transcript.done', (one) => one['transcript'] === 'Order 2 ships on Tuesday.');
  await call.frames.next('response.done');
  expect(await decodeSpeech(samples(call.sound), 24_000)).toBe('Order 2 ships on Tuesday.');
  expect(support.found).toEqual([{ order: '1' }, { order: '2' }]);
  expect(call.errors).toEqual([]);
  expect(JSON.stringify(call.frames.all)).not.toContain('find_order');

  const events = await house.api.events(session_id);
  expect(events[0]).toMatchObject({ type: 'session.created', metadata: { door: 'openai' } });
  expect(events.filter(({ type }) => type === 'tool.answered')).toHaveLength(2);
  const ignored = events.find((event) => event.type === 'client.rejected');
  expect(ignored).toMatchObject({ error: { code: 'permission_denied', details: { fields: expect.arrayContaining(['instructions']) } } });
  call.session.close();
  expect(await house.api.until(session_id, 'session.closed')).toMatchObject({ reason: 'client_left' });
});
