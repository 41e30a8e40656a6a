import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Simulator, startSimulator } from './simulator.ts';
import { encodeSpeech } from './speech.ts';
import { answered, connect, WireClient } from './wire-client.test.support.ts';

// What goes wrong on request.

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ voice: 'coded', pace: 20 });
});
beforeEach(() => simulator.faults.clear());
afterAll(() => simulator.close());

const TEXT = { output_modalities: ['text'] };

test.each([429, 403, 500])('an upgrade is refused with %i once, then goes well', async (status) => {
  simulator.faults.add({ when: 'upgrade', kind: 'status', status });
  const client = new WireClient(`${simulator.wsUrl}?model=m`, ['realtime', 'openai-insecure-api-key.sk-1']);
  const [, response] = (await once(client.socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(status);
  client.socket.terminate();
  await using second = await connect(simulator);
  expect(second.events[0]?.type).toBe('session.created');
});

test('a fault that cannot strike there is refused', () => {
  expect(() => simulator.faults.add({ when: 'append', kind: 'status', status: 429 })).toThrow(
    'a fault at append is one of',
  );
});

test('a path that is no URL is answered', async () => {
  const response = await fetch(`${simulator.url}//`);
  expect(response.status).toBe(404);
});

test('a connection is cut in the middle of an answer', async () => {
  simulator.faults.add({ when: 'send', match: { type: 'response.content_part.added' }, kind: 'drop' });
  await using client = await connect(simulator);
  client.type('hello');
  expect((await client.closed).code).toBe(1006);
});

test('an upgrade that is never answered does not keep the simulator from closing', async () => {
  const stuck = await startSimulator();
  stuck.faults.add({ when: 'upgrade', kind: 'stall' });
  await using client = new WireClient(stuck.wsUrl, ['realtime', 'openai-insecure-api-key.sk-1']);
  await vi.waitUntil(() => stuck.faults.list().length === 0);
  await stuck.close();
  expect((await client.closed).code).toBe(1006);
});

test('a fault waits for its occasion: the third append drops', async () => {
  simulator.faults.add({ when: 'append', after: 2, kind: 'drop' });
  await using client = await connect(simulator);
  for (let i = 0; i < 3; i++) client.append(new Int16Array(480));
  expect((await client.closed).code).toBe(1006);
  expect(simulator.faults.list()).toEqual([]);
});

test('a session expires on request', async () => {
  await using client = await connect(simulator);
  simulator.sessions().at(-1)?.expire();
  expect((await client.next('error'))['error']).toMatchObject({ code: 'session_expired' });
  expect((await client.closed).code).toBe(1001);
});

test('a rate limit is an error and a failed response', async () => {
  simulator.faults.add({ when: 'response', kind: 'rate_limit' });
  await using client = await connect(simulator);
  client.type('hello', TEXT);
  expect((await client.next('error'))['error']).toMatchObject({ code: 'rate_limit_exceeded' });
  expect(await answered(client)).toMatchObject({
    response: { status: 'failed', status_details: { error: { code: 'rate_limit_exceeded' } } },
  });
  client.type('again', TEXT);
  expect(await answered(client)).toMatchObject({ response: { status: 'completed' } });
});

test('frames come out of the blue, events are lost and doubled', async () => {
  simulator.faults.add({
    when: 'connected',
    kind: 'frame',
    data: '{"type":"rate_limits.updated","event_id":"event_x","rate_limits":[]}',
  });
  simulator.faults.add({ when: 'send', match: { type: 'session.updated' }, kind: 'duplicate' });
  simulator.faults.add({ when: 'send', kind: 'no_response_created' });
  await using client = await connect(simulator, TEXT);
  client.type('hello');
  await answered(client);
  expect(client.types().slice(0, 4)).toEqual([
    'rate_limits.updated',
    'session.created',
    'session.updated',
    'session.updated',
  ]);
  expect(client.of('response.created')).toEqual([]);
});

test('a delay holds everything of that session in order', async () => {
  simulator.faults.add({ when: 'event', match: { type: 'session.update' }, kind: 'delay', ms: 30 });
  await using client = await connect(simulator);
  client.send({ type: 'session.update', session: { type: 'realtime', ...TEXT } });
  client.type('hello');
  await answered(client);
  const types = client.types();
  expect(types.indexOf('session.updated')).toBeLessThan(types.indexOf('conversation.item.added'));
  expect(client.of('response.output_text.done')).toHaveLength(1);
});

test('a transcription fails, and another comes after the answer', async () => {
  const session = { ...TEXT, audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } };
  simulator.faults.add({ when: 'transcription', kind: 'fail', code: 'audio_unintelligible' });
  await using client = await connect(simulator, session);
  await client.say('one');
  const failed = await client.next('conversation.item.input_audio_transcription.failed');
  expect(failed['error']).toMatchObject({ code: 'audio_unintelligible' });
  await answered(client);
  simulator.faults.add({ when: 'transcription', kind: 'delay', ms: 400 });
  await client.say('two');
  await answered(client);
  expect(await client.next('conversation.item.input_audio_transcription.completed')).toMatchObject({
    transcript: 'two',
  });
});

test('a reader that does not read stops the production of audio, and costs no more than the bound', async () => {
  await using slow = await startSimulator({
    script: { mode: 'talk', otherwise: '{{heard}} {{heard}}' },
    voice: 'coded',
    pace: Number.POSITIVE_INFINITY,
    limits: { pauseBytes: 64 * 1024 },
  });
  await using client = await connect(slow);
  client.socket.pause();
  client.type('a sentence that makes quite some sound '.repeat(40));
  const session = slow.sessions()[0];
  const produced = async (): Promise<number> => {
    // Settled: two looks in a row show the same.
    for (let last = -1; ; ) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const now = session?.counts.audioBytesOut ?? 0;
      if (now === last && now > 0) return now;
      last = now;
    }
  };
  const stuck = await produced();
  client.socket.resume();
  await answered(client);
  expect(session?.counts.audioBytesOut).toBeGreaterThan(stuck);
});

test('a reader past the last bound is closed', async () => {
  await using tight = await startSimulator({
    script: { mode: 'echo' },
    limits: { pauseBytes: 1e9, closeBytes: 256 * 1024 },
  });
  await using client = await connect(tight);
  client.socket.pause();
  const gone = new Promise<void>((resolve) => {
    const feed = () => {
      if (tight.sessions().length === 0) return resolve();
      client.append(new Int16Array(24_000), 24_000);
      setImmediate(feed);
    };
    feed();
  });
  await gone;
  client.socket.resume();
  expect([1006, 1008]).toContain((await client.closed).code);
});

test('the load mode answers each append with a delta of the same audio', async () => {
  await using echo = await startSimulator({ script: { mode: 'echo' } });
  await using client = await connect(echo);
  const pcm = (await encodeSpeech('echo')).slice(0, 9_600);
  client.append(pcm, 960);
  for (let i = 0; i < 10; i++) await client.next('response.output_audio.delta');
  expect(client.audio().equals(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength))).toBe(true);
  client.send({ type: 'session.update', session: { type: 'realtime', instructions: 'x' } });
  await client.next('session.updated');
});
