import { startSimulator } from '@parley/simulator';
import { encodeSpeech } from '@parley/simulator/speech';
import { expect, test } from 'vitest';
import { connected } from '../test-support/connected.ts';

// Gemini hears the end of a turn in the sound that follows it. A client that mutes sends none.

test('a turn ends also when its client stops sending sound', async () => {
  await using simulator = await startSimulator({ voice: 'coded', pace: 40 });
  const session = await connected({ base_url: simulator.url, key: 'any' }, {}, { provider: 'gemini' });
  const sound = await encodeSpeech('hello there', { sampleRate: 24_000 });
  const pcm = Buffer.from(sound.buffer, sound.byteOffset, sound.byteLength);
  for (let at = 0; at < pcm.length; at += 960) {
    const audio = pcm.subarray(at, at + 960).toString('base64');
    session.connection.media.send(Buffer.from(`{"type":"input_audio_buffer.append","audio":"${audio}"}`));
  }
  expect(await session.event('turn.completed')).toMatchObject({ text: 'hello there' });
  expect(await session.event('response.completed')).toMatchObject({ text: 'You said: hello there' });
  session.connection.close();
  await session.connection.closed;
});
