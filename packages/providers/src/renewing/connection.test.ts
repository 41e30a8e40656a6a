import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { ManualClock } from '@parley/transport';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createModel } from '../registry.ts';
import { collected, type Connected, SESSION } from '../test-support/connected.ts';
import { renewing } from './model.ts';

let simulator: Simulator;
const clock = new ManualClock();
beforeEach(async () => {
  const script = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "It ships on {{output.ship_day}}."
otherwise: "You said: {{heard}}"
`);
  simulator = await startSimulator({ script, voice: 'coded', pace: 40 });
});
afterEach(() => simulator.close());

const HOUR_MS = 60 * 60_000;

async function call(provider: string, path: string): Promise<Connected> {
  const model = renewing(createModel(provider, { base_url: `${simulator.url}${path}`, key: 'any' }), {
    clock,
    before_ms: 60_000,
  });
  return collected(await model.connect({ ...SESSION, tools: [{ name: 'lookup_order' }] }));
}

async function say(session: Connected, text: string, nth = 0): Promise<string> {
  session.connection.send({ type: 'add_text', role: 'user', text });
  session.connection.send({ type: 'respond' });
  return (await session.event('response.completed', nth)).text;
}

const known = (): unknown[] =>
  (simulator.sessions().at(-1)?.items() ?? []).map(({ type, role, content, arguments: input, output }) => [
    role ?? type,
    (content ?? []).map((part) => part.text ?? part.transcript).join('') || (input ?? output),
  ]);

test('before its hour is over a session goes on over another connection, which knows what was said', async () => {
  const session = await call('openai', '/v1');
  expect(await say(session, 'good morning')).toBe('You said: good morning');
  clock.advance(HOUR_MS - 60_000);
  const renewed = await session.event('provider.renewed');
  expect(renewed).toMatchObject({ reason: 'cap', by: 'replay', items: 2 });
  expect(session.connection.provider_session_id).toBe(renewed.provider_session_id);
  expect(await say(session, 'and again', 1)).toBe('You said: and again');
  await expect.poll(known).toEqual([
    ['user', 'good morning'],
    ['assistant', 'You said: good morning'],
    ['user', 'and again'],
    ['assistant', 'You said: and again'],
  ]);
  await expect.poll(() => simulator.sessions().length).toBe(1);
  session.connection.close();
  expect(await session.connection.closed).toMatchObject({ code: 1000, reason: 'closed' });
});

test('a client sees one session, and nothing of the conversation twice', async () => {
  const session = await call('openai', '/v1');
  await say(session, 'good morning');
  const before = session.frames.length;
  const counted = session.connection.media.counts();
  clock.advance(HOUR_MS - 60_000);
  await session.event('provider.renewed');
  await say(session, 'and again', 1);
  expect(session.frames.filter(({ type }) => type === 'session.created')).toHaveLength(1);
  const after = session.frames.slice(before).map(({ text }) => text);
  expect(after.join('')).not.toContain('good morning');
  expect(after.filter((text) => text.includes('"conversation.item.added"'))).toHaveLength(2);
  const counts = session.connection.media.counts();
  expect(counts.reply_audio_ms).toBeGreaterThan(counted.reply_audio_ms);
  expect(counts.frames_in).toBeGreaterThan(counted.frames_in);
  session.connection.close();
});

test('a renewal waits for the end of what is under way: an answer, and a tool', async () => {
  const session = await call('openai', '/v1');
  session.connection.send({ type: 'add_text', role: 'user', text: 'order 42' });
  session.connection.send({ type: 'respond' });
  const { call_id } = await session.event('tool.called');
  await session.event('response.completed');
  clock.advance(HOUR_MS - 60_000);
  session.connection.send({ type: 'tool_output', call_id, output: '{"ship_day":"Friday"}' });
  session.connection.send({ type: 'respond' });
  expect((await session.event('response.completed', 1)).text).toBe('It ships on Friday.');
  await session.event('provider.renewed');
  const order = session.events.map(({ type }) => type).filter((type) => type !== 'transcript.completed');
  expect(order.slice(-2)).toEqual(['response.completed', 'provider.renewed']);
  await expect.poll(known).toEqual([
    ['user', 'order 42'],
    ['function_call', '{"order":"42"}'],
    ['function_call_output', '{"ship_day":"Friday"}'],
    ['assistant', 'It ships on Friday.'],
  ]);
  session.connection.close();
});

test('what was updated stays so', async () => {
  const session = await call('openai', '/v1');
  session.connection.send({ type: 'update', instructions: 'Be brief.', tools: [] });
  await session.frame('session.updated');
  clock.advance(HOUR_MS - 60_000);
  await session.event('provider.renewed');
  expect(simulator.sessions().at(-1)?.config()).toMatchObject({ instructions: 'Be brief.', tools: [] });
  session.connection.close();
});

test('what is updated while the next connection waits for its turn is told to it', async () => {
  const session = await call('openai', '/v1');
  await say(session, 'good morning');
  clock.advance(HOUR_MS - 60_000);
  // It is on its way, and something is said meanwhile.
  session.connection.send({ type: 'say', say_id: 'say_1', text: 'one two three four '.repeat(20).trim() });
  await session.event('response.started', 1);
  await expect.poll(() => simulator.sessions().length).toBe(2);
  session.connection.send({ type: 'update', instructions: 'Be brief.' });
  await session.event('provider.renewed');
  await expect.poll(() => simulator.sessions().length).toBe(1);
  expect(simulator.sessions()[0]?.config()).toMatchObject({ instructions: 'Be brief.' });
  expect(session.events.filter(({ type }) => type === 'response.completed')).toHaveLength(2);
  session.connection.close();
});

test('of an answer that was cut only the words that were heard are told on, also after the renewal', async () => {
  const session = await call('openai', '/v1');
  session.connection.send({ type: 'say', say_id: 'say_1', text: 'one two three four' });
  const { item_id = '', audio_ms } = await session.event('response.completed');
  clock.advance(HOUR_MS - 60_000);
  await session.event('provider.renewed');
  session.connection.send({ type: 'truncate', item_id, audio_ms: audio_ms / 2 });
  expect(await session.event('item.truncated')).toMatchObject({ item_id, audio_ms: audio_ms / 2 });
  clock.advance(HOUR_MS - 60_000);
  await session.event('provider.renewed', 1);
  await expect.poll(known).toEqual([['assistant', 'one two']]);
  session.connection.close();
});

test('a renewal that fails is told, and tried again', async () => {
  const session = await call('openai', '/v1');
  await say(session, 'good morning');
  simulator.faults.add({ when: 'upgrade', kind: 'status', status: 503 });
  clock.advance(HOUR_MS - 60_000);
  expect(await session.event('provider.failed')).toMatchObject({
    command_id: 'renew',
    error: { code: 'unavailable' },
  });
  expect(await say(session, 'still there?', 1)).toBe('You said: still there?');
  clock.advance(5_000);
  expect(await session.event('provider.renewed')).toMatchObject({ items: 4 });
  session.connection.close();
});

test('where the provider has handles, nothing is told twice: the conversation is taken up again', async () => {
  const session = await call('gemini', '');
  expect(await say(session, 'good morning')).toBe('You said: good morning');
  clock.advance(9 * 60_000);
  expect(await session.event('provider.renewed')).toMatchObject({ by: 'handle', items: 0 });
  expect(await say(session, 'and again', 1)).toBe('You said: and again');
  expect(known().slice(0, 2)).toEqual([
    ['user', 'good morning'],
    ['assistant', 'You said: good morning'],
  ]);
  // What is said now stands behind what the client knows.
  const added = session.frames
    .filter(({ type }) => type === 'conversation.item.added')
    .map(({ text }) => JSON.parse(text) as { previous_item_id: string | null; item: { id: string } });
  expect(added.map((one) => one.previous_item_id)).toEqual([null, ...added.slice(0, -1).map(({ item }) => item.id)]);
  session.connection.close();
});

test('a provider that says that it goes is followed by another connection before it does', async () => {
  await simulator.close();
  simulator = await startSimulator({ voice: 'coded', pace: 40, sessionMaxMs: 1_000 });
  const session = await call('gemini', '');
  expect(await session.event('provider.renewed')).toMatchObject({ reason: 'going_away' });
  session.connection.close();
});

test('a call that is over is not renewed', async () => {
  const session = await call('openai', '/v1');
  session.connection.close('enough');
  expect(await session.connection.closed).toMatchObject({ reason: 'enough' });
  clock.advance(HOUR_MS);
  expect(session.events).toEqual([]);
  await expect.poll(() => simulator.sessions().length).toBe(0);
});

test('a connection that is cut while it is renewed is followed by the one that was on its way, and leaves nothing', async () => {
  const session = await call('openai', '/v1');
  await say(session, 'good morning');
  simulator.faults.add({ when: 'upgrade', kind: 'delay', ms: 200 });
  clock.advance(HOUR_MS - 60_000);
  simulator.faults.add({ when: 'append', kind: 'drop' });
  session.connection.media.send(
    Buffer.from(`{"type":"input_audio_buffer.append","audio":"${Buffer.alloc(960).toString('base64')}"}`),
  );
  expect(await session.event('provider.renewed')).toMatchObject({ reason: 'lost', by: 'replay', items: 2 });
  expect(await say(session, 'and again', 1)).toBe('You said: and again');
  session.connection.close();
  expect(await session.connection.closed).toMatchObject({ code: 1000 });
  await expect.poll(() => simulator.sessions().length).toBe(0);
});
