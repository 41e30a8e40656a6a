import { afterAll, beforeAll, expect, test } from 'vitest';
import { VirtualClock } from './clock.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { decodeAlaw, decodeMulaw, decodeSpeech, encodeAlaw, encodeMulaw, encodeSpeech } from './speech.ts';
import { answered, connect, samples } from './wire-client.test.support.ts';
import type { Item, Wire } from './wire.ts';

// Sound in and sound out: where turns begin and end, interruption, truncation, idle timeout, telephone formats.

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ voice: 'coded', pace: 20 });
});
afterAll(() => simulator.close());

function tone(ms: number, amplitude = 6_000): Int16Array {
  return Int16Array.from({ length: ms * 24 }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * 300 * i) / 24_000)),
  );
}
const silence = (ms: number) => new Int16Array(ms * 24);
const LONG =
  'a long sentence that goes on for quite a while so that there is time enough to speak over it in the middle';

test.each([7, 480, 2_400, 1_000_000])('a turn has the same bounds in chunks of %i samples', async (chunk) => {
  await using client = await connect(simulator, {
    audio: { input: { turn_detection: { type: 'server_vad', create_response: false } } },
  });
  const sound = [silence(1_000), tone(600), silence(100), tone(300), silence(600)];
  const pcm = new Int16Array(sound.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of sound) {
    pcm.set(part, at);
    at += part.length;
  }
  client.append(pcm, chunk);
  const started = await client.next('input_audio_buffer.speech_started');
  const stopped = await client.next('input_audio_buffer.speech_stopped');
  await client.next('conversation.item.done');
  expect(started['audio_start_ms']).toBe(700);
  expect(stopped['audio_end_ms']).toBe(2_200);
  expect(client.of('response.created')).toEqual([]);
});

test('two turns in one chunk are two turns', async () => {
  const turn_detection = { type: 'server_vad', create_response: false };
  await using client = await connect(simulator, { audio: { input: { turn_detection } } });
  const turn = [...tone(300), ...silence(400)];
  client.append(Int16Array.from([...turn, ...turn, ...tone(300)]), 1_000_000);
  await client.next('input_audio_buffer.committed');
  await client.next('input_audio_buffer.committed');
  await client.next('input_audio_buffer.speech_started');
  client.append(silence(400));
  await client.next('input_audio_buffer.committed');
  await client.next('conversation.item.done');
  const bounds = client.events.flatMap((event) => event['audio_start_ms'] ?? event['audio_end_ms'] ?? []);
  expect(bounds).toEqual([0, 500, 500, 1_200, 1_200, 1_900]);
});

test('a client that says what to say is answered in the manner of the last turn, although no response answered it', async () => {
  const turn_detection = { type: 'server_vad', create_response: false };
  await using auto = await startSimulator({ voice: 'auto' });
  await using client = await connect(auto, { audio: { input: { turn_detection } } });
  await client.say('hello');
  await client.next('conversation.item.done');
  client.send({
    type: 'response.create',
    response: { conversation: 'none', input: [], instructions: 'Say exactly: at once' },
  });
  await answered(client);
  expect(await decodeSpeech(samples(client.audio()), 24_000)).toBe('at once');
});

test('an answer longer than max_output_tokens is incomplete', async () => {
  await using client = await connect(simulator);
  client.type(LONG, { max_output_tokens: 40 });
  const { output, usage, ...response } = (await answered(client))['response'] as Wire & {
    output: Item[];
    usage: Usage;
  };
  expect(response).toMatchObject({ status: 'incomplete', status_details: { reason: 'max_output_tokens' } });
  expect(output[0]?.status).toBe('incomplete');
  expect(usage.output_tokens).toBeLessThanOrEqual(40);
});

test('threshold and silence are honoured: quiet sound is no turn, a long pause is no end', async () => {
  const detection = { type: 'server_vad', threshold: 0.9, silence_duration_ms: 900, create_response: false };
  await using client = await connect(simulator, { audio: { input: { turn_detection: detection } } });
  client.append(tone(800, 400));
  client.append(silence(1_000));
  client.append(tone(800));
  client.append(silence(800));
  client.append(tone(800));
  client.append(silence(1_000));
  await client.next('input_audio_buffer.committed');
  expect(client.of('input_audio_buffer.speech_started')).toHaveLength(1);
  expect(client.of('input_audio_buffer.speech_started')[0]?.['audio_start_ms']).toBe(1_500);
});

test('semantic_vad waits longer the less eager it is', async () => {
  const ends: number[] = [];
  for (const eagerness of ['high', 'medium', 'low']) {
    await using client = await connect(simulator, {
      audio: { input: { turn_detection: { type: 'semantic_vad', eagerness, create_response: false } } },
    });
    client.append(tone(500));
    client.append(silence(2_000));
    ends.push((await client.next('input_audio_buffer.speech_stopped'))['audio_end_ms'] as number);
  }
  expect(ends.toSorted((a, b) => a - b)).toEqual(ends);
  expect(new Set(ends).size).toBe(3);
});

test('a long text of several messages is one turn at the shortest silence', async () => {
  await using client = await connect(simulator, {
    audio: { input: { turn_detection: { type: 'server_vad', silence_duration_ms: 200 } } },
  });
  await client.say(LONG);
  await answered(client);
  expect(client.of('input_audio_buffer.committed')).toHaveLength(1);
  expect(await decodeSpeech(samples(client.audio()), 24_000)).toBe(`You said: ${LONG}`);
  expect(simulator.sessions().at(-1)?.heard).toEqual([LONG]);
});

test('a voice without a code is played back', async () => {
  await using client = await connect(simulator, {
    audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } },
  });
  client.append(tone(1_000));
  client.append(silence(500));
  await answered(client);
  expect(client.of('conversation.item.input_audio_transcription.completed')[0]?.['transcript']).toBe('');
  const back = samples(client.audio());
  const loud = back.filter((sample) => Math.abs(sample) > 5_000).length;
  expect(loud).toBeGreaterThan(5_000);
});

test.each([
  ['audio/pcmu', encodeMulaw, decodeMulaw],
  ['audio/pcma', encodeAlaw, decodeAlaw],
])('words cross a telephone line both ways in %s', async (type, encode, decode) => {
  const format = { type };
  await using client = await connect(simulator, { audio: { input: { format }, output: { format } } });
  const bytes = encode(await encodeSpeech('call me back', { sampleRate: 8_000 }));
  for (let at = 0; at < bytes.length; at += 160) client.appendBytes(bytes.slice(at, at + 160));
  await answered(client);
  expect(await decodeSpeech(decode(client.audio()), 8_000)).toBe('You said: call me back');
});

test('speech over an answer cuts it: what was sent stays, nothing more is sent', async () => {
  await using client = await connect(simulator);
  client.type(LONG);
  const delta = await client.next('response.output_audio.delta');
  await client.next('response.output_audio.delta');
  client.append(tone(400));
  await client.next('input_audio_buffer.speech_started');
  const done = await answered(client);
  const { output, ...response } = done['response'] as Wire & { output: Item[] };
  expect(response).toMatchObject({
    id: delta['response_id'],
    status: 'cancelled',
    status_details: { type: 'cancelled', reason: 'turn_detected' },
  });
  expect(output[0]?.status).toBe('incomplete');
  const deltas = client
    .of('response.output_audio_transcript.delta')
    .map((event) => event['delta'])
    .join('');
  expect(output[0]?.content?.[0]?.transcript).toBe(deltas);
  expect(`You said: ${LONG}`.startsWith(deltas)).toBe(true);
  client.append(silence(400));
  await client.next('response.created');
  const after = client.events.slice(client.events.indexOf(done));
  expect(after.filter((event) => event['response_id'] === delta['response_id'])).toEqual([]);
});

test('without interrupt_response the answer goes on', async () => {
  await using client = await connect(simulator, {
    audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: false, create_response: false } } },
  });
  client.type('hello');
  await client.next('response.output_audio.delta');
  client.append(tone(400));
  await client.next('input_audio_buffer.speech_started');
  expect(await answered(client)).toMatchObject({ response: { status: 'completed' } });
});

test('truncation shortens the transcript, and retrieve shows it', async () => {
  await using client = await connect(simulator);
  client.type('one two three four five six seven eight nine ten');
  const { output } = (await answered(client))['response'] as { output: Item[] };
  const id = output[0]?.id as string;
  const totalMs = client.audio().length / 48;
  client.send({
    type: 'conversation.item.truncate',
    item_id: id,
    content_index: 0,
    audio_end_ms: Math.ceil(totalMs) + 1_000,
  });
  expect((await client.next('error'))['error']).toMatchObject({ param: 'audio_end_ms' });
  client.send({
    type: 'conversation.item.truncate',
    item_id: id,
    content_index: 0,
    audio_end_ms: Math.floor(totalMs / 2),
  });
  await client.next('conversation.item.truncated');
  client.send({ type: 'conversation.item.retrieve', item_id: id });
  const { item } = (await client.next('conversation.item.retrieved')) as Wire as { item: Item };
  expect(item.content?.[0]?.transcript).toBe('You said: one two three four');
});

test('retrieve shows the sound of a user turn', async () => {
  await using client = await connect(simulator, { audio: { input: { turn_detection: null } } });
  client.append(tone(500));
  client.send({ type: 'input_audio_buffer.commit' });
  const { item_id: id } = await client.next('input_audio_buffer.committed');
  client.send({ type: 'conversation.item.retrieve', item_id: id });
  const { item } = (await client.next('conversation.item.retrieved')) as Wire as { item: Item };
  expect(Buffer.from(item.content?.[0]?.audio ?? '', 'base64').length).toBe(24_000);
});

test('a silent caller is prompted after the idle timeout, and the session ends at its time limit', async () => {
  const clock = new VirtualClock();
  await using timed = await startSimulator({
    clock,
    voice: 'coded',
    pace: Number.POSITIVE_INFINITY,
    sessionMaxMs: 120_000,
  });
  await using client = await connect(timed, {
    audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 6_000 } } },
  });
  client.type('hello');
  await client.next('rate_limits.updated');
  const playedMs = client.audio().length / 48;
  clock.advance(playedMs + 5_900);
  expect(client.of('input_audio_buffer.timeout_triggered')).toEqual([]);
  clock.advance(200);
  const timeout = await client.next('input_audio_buffer.timeout_triggered');
  expect(await client.next('input_audio_buffer.committed')).toMatchObject({ item_id: timeout['item_id'] });
  await answered(client);
  expect(client.of('response.output_audio_transcript.done').at(-1)?.['transcript']).toBe('Are you still there?');
  clock.advance(120_000);
  expect((await client.next('error'))['error']).toMatchObject({
    code: 'session_expired',
    message: 'Your session hit the maximum duration of 2 minutes.',
  });
  expect((await client.closed).code).toBe(1001);
});

test('a transcription session commits and transcribes, and never answers', async () => {
  await using client = await connect(simulator, undefined, '?intent=transcription');
  expect(client.events[0]).toMatchObject({ session: { type: 'transcription' } });
  client.send({
    type: 'session.update',
    session: { type: 'transcription', audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } },
  });
  await client.say('write this down');
  expect(await client.next('conversation.item.input_audio_transcription.completed')).toMatchObject({
    transcript: 'write this down',
  });
  expect(client.of('response.created')).toEqual([]);
});

test('usage adds up, and what was said before is cached', async () => {
  await using client = await connect(simulator);
  await client.say('hello');
  const first = ((await answered(client))['response'] as { usage: Usage }).usage;
  await client.say('hello again');
  const second = ((await answered(client))['response'] as { usage: Usage }).usage;
  for (const usage of [first, second]) {
    expect(usage.total_tokens).toBe(usage.input_tokens + usage.output_tokens);
    const { text_tokens: text, audio_tokens: audio, image_tokens: image } = usage.input_token_details;
    expect(text + audio + image).toBe(usage.input_tokens);
    expect(usage.output_token_details.text_tokens + usage.output_token_details.audio_tokens).toBe(usage.output_tokens);
  }
  expect(first.input_token_details.cached_tokens).toBe(0);
  expect(second.input_token_details.cached_tokens).toBe(first.input_tokens);
});

interface Usage {
  total_tokens: number;
  input_tokens: number;
  output_tokens: number;
  input_token_details: { text_tokens: number; audio_tokens: number; image_tokens: number; cached_tokens: number };
  output_token_details: { text_tokens: number; audio_tokens: number };
}
