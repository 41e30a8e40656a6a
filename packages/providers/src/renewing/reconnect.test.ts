import type { ModelEvent } from '@parley/core';
import { type Fault, parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { encodeSpeech } from '@parley/simulator/speech';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ModelSessionOptions } from '../port.ts';
import { createModel } from '../registry.ts';
import { collected, type Connected, SESSION } from '../test-support/connected.ts';
import type { RenewalSettings } from './connection.ts';
import { renewing } from './model.ts';

// A connection is cut in the middle of a session, at every provider: the session goes on over another one.

let simulator: Simulator;
const open: Connected[] = [];
beforeEach(async () => {
  const script = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "It ships on {{output.ship_day}}."
  - heard: "returned .*ship_day...(\\\\w+)"
    say: "Said again: $1."
otherwise: "You said: {{heard}}"
`);
  simulator = await startSimulator({ script, voice: 'coded', pace: 40 });
});
afterEach(async () => {
  for (const { connection } of open.splice(0)) connection.close();
  await simulator.close();
});

const PROVIDERS = [
  ['azure_openai', '/openai/v1', 'replay'],
  ['gemini', '', 'handle'],
  ['openai', '/v1', 'replay'],
  ['openai_compatible', '/v1', 'replay'],
  ['openai_live', '/v1', 'replay'],
  ['simulator', '/v1', 'replay'],
  ['xai', '/xai/v1', 'replay'],
] as const;
const APPEND = `{"type":"input_audio_buffer.append","audio":"${Buffer.alloc(4800).toString('base64')}"}`;

async function call(
  provider = 'openai',
  path = '/v1',
  options: Partial<ModelSessionOptions> = {},
  settings: Partial<RenewalSettings> = {},
): Promise<Connected> {
  const model = renewing(createModel(provider, { base_url: `${simulator.url}${path}`, key: 'any' }), settings);
  const tools = [{ name: 'lookup_order' }];
  const session = collected(await model.connect({ ...SESSION, tools, ...options }));
  open.push(session);
  return session;
}

function type({ connection }: Connected, text: string): void {
  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
  connection.media.send(Buffer.from(JSON.stringify({ type: 'conversation.item.create', item })));
}

async function ask(session: Connected, text: string, nth = 0): Promise<string> {
  type(session, text);
  await session.event('turn.completed', nth);
  session.connection.send({ type: 'respond' });
  return (await session.event('response.completed', nth)).text;
}

/** The next sound of the user ends the connection so. */
function strike({ connection }: Connected, how: Partial<Fault> = { kind: 'drop' }): void {
  simulator.faults.add({ when: 'append', ...how } as Fault);
  connection.media.send(Buffer.from(APPEND));
}

async function spoken(text: string): Promise<Buffer[]> {
  const sound = await encodeSpeech(text, { sampleRate: 24_000 });
  const all = Buffer.concat([Buffer.from(sound.buffer, sound.byteOffset, sound.byteLength), Buffer.alloc(48 * 1500)]);
  return Array.from({ length: Math.ceil(all.length / 960) }, (_, n) => {
    const audio = all.subarray(n * 960, (n + 1) * 960).toString('base64');
    return Buffer.from(`{"type":"input_audio_buffer.append","audio":"${audio}"}`);
  });
}

const types = (events: readonly ModelEvent[]): string[] => events.map((event) => event.type);
const known = (): string[] =>
  (simulator.sessions().at(-1)?.items() ?? []).map((item) =>
    (item.content ?? []).map((part) => part.text ?? part.transcript).join(''),
  );

describe.for(PROVIDERS)('%s', ([provider, path, by]) => {
  test('between two turns: the next connection knows what was said, and nobody is told an end', async () => {
    const session = await call(provider, path);
    expect(await ask(session, 'good morning')).toBe('You said: good morning');
    strike(session);
    expect(await session.event('provider.renewed')).toMatchObject({ reason: 'lost', by });
    expect(session.events.find((event) => event.type === 'provider.failed')).toMatchObject({
      command_id: 'connection',
      error: { code: 'unavailable', details: { boundary: 'parley -> provider', close_code: 1006 } },
    });
    expect(await ask(session, 'and again', 1)).toBe('You said: and again');
    if (provider !== 'openai_live') expect(known().slice(0, 2)).toEqual(['good morning', 'You said: good morning']);
    await expect.poll(() => simulator.sessions().length).toBe(1);
    expect(session.frames.filter((frame) => frame.type === 'session.created')).toHaveLength(1);
    session.connection.close('enough');
    expect(await session.connection.closed).toMatchObject({ code: 1000, reason: 'enough' });
  });

  test('in the middle of an answer: it ends, with the words that came, and the model is asked again', async () => {
    const session = await call(provider, path);
    type(session, `count ${'one two three four '.repeat(20).trim()}`);
    await session.event('turn.completed');
    session.connection.send({ type: 'respond' });
    await session.frame('response.output_audio.delta');
    strike(session);
    const cut = await session.event('response.completed');
    expect(cut).toMatchObject({ status: 'incomplete', reason: 'connection_lost' });
    expect(cut.audio_ms).toBeGreaterThan(0);
    const done = await session.frame('response.done');
    expect(done['response']).toMatchObject({ id: cut.response_id, status: 'incomplete' });
    expect((await session.event('response.completed', 1)).status).toBe('completed');
    expect(types(session.events).filter((one) => one === 'response.started')).toHaveLength(2);
  });

  test('while a tool runs: it is called once, and its output is answered on the next connection', async () => {
    const session = await call(provider, path);
    type(session, 'order 42');
    await session.event('turn.completed');
    session.connection.send({ type: 'respond' });
    const { call_id } = await session.event('tool.called');
    await session.event('response.completed');
    strike(session);
    await session.event('provider.renewed');
    session.connection.send({ type: 'tool_output', call_id, output: '{"ship_day":"Friday"}' });
    session.connection.send({ type: 'respond' });
    const { text } = await session.event('response.completed', 1);
    // Where calls are told as text, it depends on the model what it makes of them.
    if (provider === 'openai_compatible') {
      expect(known()).toContain('Tool lookup_order({"order":"42"}) returned {"ship_day":"Friday"}');
      return;
    }
    expect(text).toContain('Friday');
    expect(types(session.events).filter((one) => one === 'tool.called')).toHaveLength(1);
  });

  test('while the user speaks: what was said is heard again, as one turn', async () => {
    const session = await call(provider, path);
    const frames = await spoken('where is my order');
    simulator.faults.add({ when: 'append', after: 30, kind: 'drop' });
    for (const frame of frames.slice(0, 31)) session.connection.media.send(frame);
    await session.event('provider.failed');
    for (const frame of frames.slice(31)) session.connection.media.send(frame);
    expect(await session.event('turn.completed')).toMatchObject({ text: 'where is my order' });
    expect(await session.event('response.completed')).toMatchObject({ text: 'You said: where is my order' });
    expect(types(session.events).filter((one) => one === 'turn.completed')).toHaveLength(1);
  });
});
