// A spoken call: sound in, sound out, through the whole house. The words are carried by the sound itself.

import { Agent } from '@parley/session';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import { expect, test, vi } from 'vitest';
import type { Client } from './support/client.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

// Sound is made and read here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

const RATE = 24_000;
const CHUNK = RATE / 50;

/** Speaks a text and falls silent, as fast as the wire takes it. */
async function speak(client: Client, text: string): Promise<void> {
  const speech = await encodeSpeech(text, { sampleRate: RATE });
  const pcm = new Int16Array(speech.length + RATE);
  pcm.set(speech);
  for (let at = 0; at < pcm.length; at += CHUNK) {
    const piece = pcm.subarray(at, at + CHUNK);
    const audio = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('base64');
    client.send({ type: 'input_audio_buffer.append', audio });
  }
}

/** The words in the sound of an answer. */
async function heard(client: Client, response_id: unknown): Promise<string> {
  await client.next('response.done', (frame) => (frame['response'] as { id: string }).id === response_id);
  const deltas = client.frames.filter(
    (frame) => frame.type === 'response.output_audio.delta' && frame['response_id'] === response_id,
  );
  const bytes = Buffer.concat(deltas.map((frame) => Buffer.from(String(frame['delta']), 'base64')));
  return decodeSpeech(new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), RATE);
}

async function answerId(client: Client): Promise<unknown> {
  const delta = await client.next('response.output_audio.delta');
  return delta['response_id'];
}

test('a question that is spoken is answered in sound, with what a tool said', async () => {
  await using house = await House.open();
  const support = supportAgent({ modalities: ['audio', 'text'] });
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  await speak(client, 'order 1');
  expect(await heard(client, await answerId(client))).toBe('Order 1 ships on Monday.');
  expect(support.found).toEqual([{ order: '1' }]);
  expect(await house.api.until(session.session_id, 'turn.completed')).toMatchObject({
    source: 'audio',
    text: 'order 1',
  });
  const { user_audio_ms, reply_audio_ms } = await house.api.get<{ user_audio_ms: number; reply_audio_ms: number }>(
    `/api/v1/sessions/${session.session_id}`,
  );
  expect(user_audio_ms).toBeGreaterThan(1000);
  expect(reply_audio_ms).toBeGreaterThan(1000);
});

test('a user who speaks over a handler cuts what it says, and the turn that it was about', async () => {
  await using house = await House.open();
  const spoken = Promise.withResolvers<{ interrupted: boolean; spokenText: string }>();
  const cancelled = Promise.withResolvers<unknown>();
  const long = 'This is a long story that nobody would want to hear to its very end. '.repeat(4).trim();
  const agent = new Agent('desk');
  agent.session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    const turn = await session.input();
    turn.signal.addEventListener('abort', () => cancelled.resolve(turn.signal.reason));
    spoken.resolve(await session.say(long));
    await session.input();
  });
  await house.serve(agent);
  const { session, client } = await house.call('desk.voice');
  await house.api.until(session.session_id, 'handler.attached');
  await speak(client, 'tell me');
  await answerId(client);
  await speak(client, 'stop');
  const { interrupted, spokenText } = await spoken.promise;
  expect(interrupted).toBe(true);
  expect(long.startsWith(spokenText)).toBe(true);
  expect(spokenText.length).toBeLessThan(long.length);
  expect(await cancelled.promise).toMatchObject({ code: 'cancelled' });
  expect(await house.api.until(session.session_id, 'response.interrupted')).toMatchObject({
    played_ms: expect.any(Number),
  });
});
