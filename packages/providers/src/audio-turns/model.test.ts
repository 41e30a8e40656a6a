import { ParleyError } from '@parley/core';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ModelConfig, ModelSessionOptions } from '../port.ts';
import { createModel } from '../registry.ts';
import { type Connected, connected, handClock, SESSION } from '../test-support/connected.ts';

// Sessions by turns against hosts that they do not know: nothing here is said by the test but the user's side.

const STORY = 'and then they walked on through the wood '.repeat(12);
const SCRIPT = `
rules:
  - heard: "two orders (\\\\d+) and (\\\\d+)"
    call: [{ name: lookup_order, arguments: { order: "$1" } }, { name: lookup_order, arguments: { order: "$2" } }]
    then: "They ship on {{outputs.0.ship_day}} and {{outputs.1.ship_day}}."
  - heard: "long story"
    say: "${STORY}"
otherwise: "You said: {{heard}}"
`;
const TOOLS: ModelSessionOptions['tools'] = [
  {
    name: 'lookup_order',
    input_schema: { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'] },
  },
];

let simulator: Simulator;
const open: Connected[] = [];
beforeAll(async () => {
  simulator = await startSimulator({ script: parseScript(SCRIPT), voice: 'coded', pace: 40 });
});
afterEach(async () => {
  simulator.faults.clear();
  for (const { connection } of open.splice(0)) {
    connection.close();
    await connection.closed;
  }
});
afterAll(() => simulator.close());

const HOSTS = [
  { provider: 'openrouter', path: '/api/v1', host: 'openrouter' },
  { provider: 'openai', path: '/v1', host: 'openai' },
  { provider: 'simulator', path: '/v1', host: 'openai' },
] as const;
const OPENROUTER = HOSTS[0];

async function call(
  { provider, path }: (typeof HOSTS)[number] = OPENROUTER,
  options: Partial<ModelSessionOptions> = {},
  config: Partial<ModelConfig> = {},
): Promise<Connected> {
  const session = { transport: 'audio_turns', model: 'gpt-audio', tools: TOOLS, ...options };
  const one = await connected({ base_url: simulator.url + path, key: 'any', ...config }, session, { provider });
  open.push(one);
  return one;
}

function frame({ connection }: Connected, event: Record<string, unknown>): void {
  connection.media.send(Buffer.from(JSON.stringify(event)));
}

function type(session: Connected, text: string): void {
  frame(session, {
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
  });
}

async function soundOf(text: string): Promise<Buffer> {
  const sound = await encodeSpeech(text, { sampleRate: 24_000 });
  return Buffer.from(sound.buffer, sound.byteOffset, sound.byteLength);
}

/** Says it as a client would: frames of 20 ms, and silence after it. */
async function speak({ connection }: Connected, text: string, silence_ms = 1500): Promise<void> {
  const all = Buffer.concat([await soundOf(text), Buffer.alloc(48 * silence_ms)]);
  for (let at = 0; at < all.length; at += 960) {
    const audio = all.subarray(at, at + 960).toString('base64');
    connection.media.send(Buffer.from(`{"type":"input_audio_buffer.append","audio":"${audio}"}`));
  }
}

/** The words in the sound of the answer that was sent last. */
async function heard({ frames }: Connected): Promise<string> {
  const deltas = frames
    .filter((one) => one.type === 'response.output_audio.delta')
    .map(({ text }) => JSON.parse(text) as { response_id: string; delta: string });
  const last = deltas.at(-1)?.response_id;
  const bytes = Buffer.concat(
    deltas.filter((one) => one.response_id === last).map((one) => Buffer.from(one.delta, 'base64')),
  );
  return decodeSpeech(new Int16Array(Uint8Array.from(bytes).buffer), 24_000);
}

describe.each(HOSTS)('$provider', (host) => {
  test('a spoken turn is cut, written down, answered aloud and counted', async () => {
    const session = await call(host);
    await speak(session, 'hello there');
    expect(await session.event('turn.completed')).toMatchObject({ source: 'audio', text: 'hello there' });
    const done = await session.event('response.completed');
    expect(done).toMatchObject({ status: 'completed', text: 'You said: hello there' });
    expect(done.usage?.output_audio_tokens).toBeGreaterThan(0);
    expect(done.usage?.input_audio_tokens).toBeGreaterThan(0);
    const { reply_audio_ms, user_audio_ms } = session.connection.media.counts();
    expect(done.audio_ms).toBe(reply_audio_ms);
    expect(user_audio_ms).toBeGreaterThan(1500);
    expect(await heard(session)).toBe('You said: hello there');
    expect(simulator.turns().at(-1)).toMatchObject({ host: host.host, heard: 'hello there', status: 'completed' });
  });

  test('the frames come in the order that clients of the real protocol know', async () => {
    const session = await call(host);
    await speak(session, 'hello there');
    await session.event('response.completed');
    await session.event('turn.completed');
    const types = session.frames.map((one) => one.type).filter((one) => !one.includes('transcription'));
    const first = (one: string): number => types.indexOf(one);
    const order = [
      'session.created',
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'response.created',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_audio_transcript.delta',
      'response.output_audio.delta',
      'response.output_audio.done',
      'response.output_audio_transcript.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.done',
    ];
    expect(order.map(first)).toEqual(order.map(first).toSorted((a, b) => a - b));
    expect(order.every((one) => first(one) >= 0)).toBe(true);
    const ids = session.frames.map(({ text }) => (JSON.parse(text) as { event_id: string }).event_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('push-to-talk: a commit is a turn, and nothing is said until it is asked for', async () => {
    const session = await call(host, { turn_detection: null });
    await speak(session, 'push to talk', 0);
    frame(session, { type: 'input_audio_buffer.commit' });
    expect(await session.event('turn.completed')).toMatchObject({ text: 'push to talk' });
    expect(session.events.some((one) => one.type === 'response.started')).toBe(false);
    frame(session, { type: 'response.create' });
    expect(await session.event('response.completed')).toMatchObject({ text: 'You said: push to talk' });
  });

  test('parallel tools are called, answered and spoken of', async () => {
    const session = await call(host);
    await speak(session, 'two orders 11 and 12');
    const calls = [await session.event('tool.called', 0), await session.event('tool.called', 1)];
    expect(calls.map((one) => JSON.parse(one.arguments) as unknown)).toEqual([{ order: 11 }, { order: 12 }]);
    await session.event('response.completed');
    for (const [n, { call_id }] of calls.entries()) {
      const output = JSON.stringify({ ship_day: n === 0 ? 'Monday' : 'Friday' });
      session.connection.send({ type: 'tool_output', call_id, output });
    }
    session.connection.send({ type: 'respond' });
    expect(await session.event('response.completed', 1)).toMatchObject({ text: 'They ship on Monday and Friday.' });
    expect(await heard(session)).toBe('They ship on Monday and Friday.');
    expect(session.frames.map((one) => one.text).join()).not.toMatch(/function_call|lookup_order|ship_day/);
  });

  test('a handler says exactly what it wants, and the model answers nothing by itself', async () => {
    const session = await call(host, { responder: 'handler' });
    await speak(session, 'hello');
    expect(await session.event('turn.completed')).toMatchObject({ text: 'hello' });
    session.connection.send({ type: 'say', say_id: 'say_1', text: 'Order 7 ships on Monday.' });
    expect(await session.event('response.started')).toMatchObject({ cause: 'say', say_id: 'say_1' });
    expect(await session.event('response.completed')).toMatchObject({ text: 'Order 7 ships on Monday.' });
    expect(await heard(session)).toBe('Order 7 ships on Monday.');
    expect(session.events.filter((one) => one.type === 'response.started')).toHaveLength(1);
  });

  test('a refused key is told before the call begins', async () => {
    await expect(call(host, {}, { key: 'sk-invalid-1234' })).rejects.toMatchObject({
      code: 'unauthenticated',
      retryable: false,
      details: { boundary: 'parley -> provider' },
    });
  });
});

test('speech over an answer ends the request, and nobody generates on', async () => {
  const session = await call();
  await speak(session, 'a long story please');
  await session.frame('response.output_audio.delta');
  await speak(session, 'stop');
  expect(await session.event('response.completed')).toMatchObject({ status: 'cancelled', reason: 'turn_detected' });
  await vi.waitFor(() => expect(simulator.turns().at(-2)?.status).toBe('aborted'));
  const cut = simulator.turns().at(-2);
  expect(cut?.spoken.length).toBeLessThan(STORY.trim().length);
  expect(await session.event('response.completed', 1)).toMatchObject({ status: 'completed', text: 'You said: stop' });
});

test('the history is told as text, and as much of an answer as was heard', async () => {
  const session = await call();
  await speak(session, 'the first turn');
  const done = await session.event('response.completed');
  await session.event('turn.completed');
  session.connection.send({ type: 'truncate', item_id: done.item_id ?? '', audio_ms: done.audio_ms / 2 });
  await session.event('item.truncated');
  frame(session, { type: 'conversation.item.retrieve', item_id: done.item_id });
  const { item } = (await session.frame('conversation.item.retrieved')) as {
    item: { content: { transcript: string }[] };
  };
  expect(item.content[0]?.transcript).toMatch(/^You said:( the)?$/);
  await speak(session, 'the second');
  await session.event('response.completed', 1);
  expect(simulator.turns().at(-1)).toMatchObject({
    roles: ['system', 'user', 'assistant', 'user'],
    heard: 'the second',
  });
});

test('a whole turn in one message is a turn, and its sound is counted', async () => {
  const session = await call(OPENROUTER, { responder: 'handler' });
  const audio = (await soundOf('all at once')).toString('base64');
  const item = { id: 'item_whole', type: 'message', role: 'user', content: [{ type: 'input_audio', audio }] };
  frame(session, { type: 'conversation.item.create', item });
  const turn = await session.event('turn.completed');
  expect(turn).toMatchObject({ source: 'audio', text: 'all at once', item_id: 'item_whole' });
  expect(turn.audio_ms).toBe(session.connection.media.counts().user_audio_ms);
  expect(turn.audio_ms).toBeGreaterThan(1000);
});

test('a typed turn in a session without sound is answered in writing', async () => {
  const session = await call(OPENROUTER, { modalities: ['text'], turn_detection: null });
  type(session, 'good day');
  await session.event('turn.completed');
  session.connection.send({ type: 'respond' });
  expect(await session.event('response.completed')).toMatchObject({ text: 'You said: good day', audio_ms: 0 });
  expect(session.frames.some((one) => one.type === 'response.output_text.delta')).toBe(true);
  expect(session.frames.some((one) => one.kind === 'audio')).toBe(false);
});

test('where nobody writes it down, the sound stands for a turn in the history', async () => {
  simulator.faults.add({ when: 'request', kind: 'status', status: 500, match: { type: 'transcription' } });
  const session = await call();
  await speak(session, 'never written');
  expect(await session.event('turn.completed')).toMatchObject({ text: '' });
  await session.event('response.completed');
  await speak(session, 'the second');
  expect(await session.event('response.completed', 1)).toMatchObject({ text: 'You said: the second' });
});

test('a user who says nothing for the time that was declared is asked again', async () => {
  const clock = handClock();
  const detection = { type: 'server_vad' as const, idle_timeout_ms: 5000 };
  const session = { transport: 'audio_turns', model: 'gpt-audio', turn_detection: detection };
  const config = { base_url: `${simulator.url}/api/v1`, key: 'any' };
  const one = await connected(config, session, { provider: 'openrouter', clock });
  open.push(one);
  await speak(one, 'hello');
  const { audio_ms } = await one.event('response.completed');
  clock.advance(audio_ms + 4000);
  expect(one.frames.some(({ type: name }) => name === 'input_audio_buffer.timeout_triggered')).toBe(false);
  clock.advance(2000);
  await one.frame('input_audio_buffer.timeout_triggered');
  await one.event('response.completed', 1);
  expect(simulator.turns().at(-1)?.roles.at(-1)).toBe('system');
});

test('a reader that stops reading loses nothing', async () => {
  const session = await call();
  const before = simulator.turns().length;
  session.connection.media.socket.pause();
  session.connection.send({ type: 'say', say_id: 'say_1', text: 'Order 7 ships on Monday.' });
  await vi.waitFor(() => expect(simulator.turns()[before]?.audio_ms).toBeGreaterThan(1000));
  expect(session.frames.some(({ kind }) => kind === 'audio')).toBe(false);
  session.connection.media.socket.resume();
  await session.event('response.completed');
  expect(await heard(session)).toBe('Order 7 ships on Monday.');
});

describe('what fails ends in a clear code', () => {
  const BUSY = { error: { message: 'Rate limit exceeded', code: 429 } };
  const cases = [
    [401, 'unauthenticated', false],
    [402, 'resource_exhausted', false],
    [403, 'permission_denied', false],
    [404, 'invalid_argument', false],
    [500, 'unavailable', true],
    [504, 'deadline_exceeded', true],
  ] as const;
  test.each(cases)('%i before the answer is %s', async (status, code, retryable) => {
    const session = await call();
    simulator.faults.add({ when: 'request', kind: 'status', status, match: { type: 'chat' } });
    await speak(session, 'hello');
    const done = await session.event('response.completed');
    expect(done).toMatchObject({ status: 'failed', error: { code, retryable, details: { status } } });
    if (status !== 401 && status !== 403) return;
    expect(await session.connection.closed).toMatchObject({ code: 3000, recoverable: false, error: { code } });
  });

  test('what a host says of the key and of the instructions is kept from events and from clients', async () => {
    const session = await call(OPENROUTER, {}, { key: 'sk-very-secret-key' });
    const message = `key sk-very-secret-key may not; you said: ${SESSION.instructions}`;
    const body = { error: { message, code: 500 } };
    simulator.faults.add({ when: 'request', kind: 'status', status: 500, body, times: 2 });
    await speak(session, 'hello');
    expect(await session.event('response.completed')).toMatchObject({
      status: 'failed',
      error: { code: 'unavailable' },
    });
    await session.event('turn.completed');
    const told = JSON.stringify(session.events) + session.frames.map(({ text }) => text).join();
    expect(told).toContain('may not');
    expect(told).not.toMatch(/very-secret|secret keeper/);
  });

  test('429 is asked again when it says how soon, and told when that is too late', async () => {
    const session = await call();
    const match = { type: 'chat' };
    simulator.faults.add({
      when: 'request',
      kind: 'status',
      status: 429,
      body: BUSY,
      headers: { 'retry-after': '0' },
      match,
    });
    type(session, 'one');
    session.connection.send({ type: 'respond' });
    expect(await session.event('response.completed')).toMatchObject({ status: 'completed' });
    simulator.faults.add({
      when: 'request',
      kind: 'status',
      status: 429,
      body: BUSY,
      headers: { 'retry-after': '20' },
      match,
    });
    type(session, 'two');
    session.connection.send({ type: 'respond' });
    expect(await session.event('response.completed', 1)).toMatchObject({
      status: 'failed',
      error: { code: 'resource_exhausted', retryable: true, retry_after_ms: 20_000, message: 'Rate limit exceeded' },
    });
  });

  test('a failure in the middle of an answer keeps what was said', async () => {
    const session = await call();
    simulator.faults.add({ when: 'chunk', kind: 'error_chunk', after: 6 });
    await speak(session, 'a long story please');
    const done = await session.event('response.completed');
    expect(done).toMatchObject({
      status: 'failed',
      error: { code: 'unavailable', message: 'Upstream provider disconnected' },
    });
    expect(done.audio_ms).toBeGreaterThan(0);
    expect(done.text).toMatch(/^and then/);
  });

  test('an answer that is cut off, and one that is not what was agreed', async () => {
    const session = await call();
    simulator.faults.add({ when: 'chunk', kind: 'drop', after: 6 });
    await speak(session, 'a long story please');
    expect(await session.event('response.completed')).toMatchObject({
      status: 'failed',
      error: { code: 'unavailable' },
    });
    simulator.faults.add({ when: 'chunk', kind: 'frame', data: 'data: {not json\n\n', after: 6 });
    await speak(session, 'a long story please');
    expect(await session.event('response.completed', 1)).toMatchObject({
      status: 'failed',
      error: { code: 'unavailable', message: 'a chunk of the provider is not JSON' },
    });
  });

  test('a connection that is refused', async () => {
    const gone = await startSimulator();
    const { url } = gone;
    await gone.close();
    const refused = createModel('openrouter', { base_url: `${url}/api/v1`, key: 'any' }).connect(SESSION);
    await expect(refused).rejects.toMatchObject({ code: 'unavailable', details: { boundary: 'parley -> provider' } });
  });

  test('a model that is not there, and an address that is none', async () => {
    await using small = await startSimulator({ models: ['gpt-audio'] });
    const model = createModel('openai', { base_url: `${small.url}/v1`, key: 'any' });
    const refused = model.connect({ ...SESSION, transport: 'audio_turns', model: 'gpt-nothing' });
    await expect(refused).rejects.toMatchObject({
      code: 'invalid_argument',
      details: { provider_code: 'model_not_found' },
    });
    expect(() => createModel('openrouter', { base_url: 'ftp://host' })).toThrow(ParleyError);
  });

  test('connecting is given up when it is not wanted any more', async () => {
    simulator.faults.add({ when: 'request', kind: 'stall', match: { type: 'probe' } });
    const controller = new AbortController();
    const refused = call(OPENROUTER, { signal: controller.signal });
    controller.abort();
    await expect(refused).rejects.toMatchObject({ code: 'cancelled' });
  });
});

test('a call of another session is part of the history, with its output', async () => {
  const session = await call();
  const add = (item: Record<string, unknown>): void => session.connection.send({ type: 'add_item', item });
  add({ type: 'function_call', call_id: 'c1', name: 'lookup_order', arguments: '{"order":11}' });
  add({ type: 'function_call_output', call_id: 'c1', output: '{"ship_day":"Monday"}' });
  add({ type: 'function_call', call_id: 'c2', name: 'lookup_order', arguments: '{"order":12}' });
  type(session, 'when does it ship?');
  await session.event('turn.completed');
  session.connection.send({ type: 'respond' });
  await session.event('response.completed');
  expect(simulator.turns().at(-1)?.roles).toEqual(['system', 'assistant', 'tool', 'user']);
  expect(session.events.some((one) => one.type === 'provider.failed' || one.type === 'tool.called')).toBe(false);
});

test('frames that cannot be done are refused by name, and the session goes on', async () => {
  const session = await call();
  frame(session, { type: 'conversation.item.retrieve', item_id: 'item_none', event_id: 'e1' });
  expect(await session.event('provider.failed')).toMatchObject({
    command_id: 'client',
    provider_code: 'item_retrieve_invalid_item_id',
  });
  frame(session, { type: 'input_audio_buffer.commit', event_id: 'e2' });
  expect(await session.event('provider.failed', 1)).toMatchObject({ provider_code: 'input_audio_buffer_commit_empty' });
  session.connection.send({ type: 'say', say_id: 'say_1', text: 'one '.repeat(40) });
  await session.event('response.started');
  session.connection.send({ type: 'say', say_id: 'say_2', text: 'two' });
  expect(await session.event('provider.failed', 2)).toMatchObject({
    command_id: 'say_2',
    provider_code: 'conversation_already_has_active_response',
  });
  session.connection.send({ type: 'cancel' });
  expect(await session.event('response.completed')).toMatchObject({ status: 'cancelled', reason: 'client_cancelled' });
});
