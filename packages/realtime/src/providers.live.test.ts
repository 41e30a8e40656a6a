// An agent on every provider that speaks over a socket, against its counterpart in the simulator: the session is the same
// whatever the wire says.

import { createModel } from '@parley/providers';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { encodeSpeech } from '@parley/simulator/speech';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RealtimeAgent } from './agent.ts';
import { textOf } from './history/item.ts';
import { RealtimeRunner } from './runner.ts';
import type { RealtimeSession } from './session.ts';
import { tool } from './tool.ts';

const SCRIPT = parseScript(`
rules:
  - heard: weather in (\\w+)
    call: { name: weather, arguments: { city: "$1" } }
    then: "{{output}}"
otherwise: "You said: {{heard}}"
`);

/** `text`: the provider takes no items of calls that it did not make. */
const ROWS = [
  { provider: 'openai', path: '/v1' },
  { provider: 'azure_openai', path: '/openai/v1' },
  { provider: 'openai_compatible', path: '/v1', text: true },
  { provider: 'xai', path: '/xai/v1' },
  { provider: 'gemini', path: '', text: true, handles: true },
  { provider: 'openai_live', path: '/v1', seconds: true },
  { provider: 'simulator', path: '/v1' },
];

const weather = tool({
  name: 'weather',
  description: 'Says what the weather is in a city.',
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `It rains in ${city}.`,
});
const agent = new RealtimeAgent({ name: 'desk', instructions: 'Answer in one sentence.', tools: [weather] });

describe.for(ROWS)('$provider', ({ provider, path, seconds, text, handles }) => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 40 });
  });
  afterAll(() => simulator.close());

  function run(): Promise<RealtimeSession> {
    const model = createModel(provider, { base_url: `${simulator.url}${path}`, key: 'any' });
    return new RealtimeRunner(agent, { model }).run();
  }

  /** The next sound of the user cuts the connection, and the next one has to be told the conversation. */
  async function cut(session: RealtimeSession): Promise<void> {
    const connected = Promise.withResolvers<void>();
    session.on('connection', ({ status }) => void (status === 'connected' && connected.resolve()));
    simulator.faults.add({ when: 'append', kind: 'drop' });
    if (handles === true) {
      simulator.faults.add({
        when: 'connected',
        kind: 'close',
        code: 1008,
        reason: 'Session resumption handle not found.',
      });
    }
    await session.sendAudio(new Uint8Array(4_800));
    await connected.promise;
  }

  async function answered(session: RealtimeSession): Promise<string> {
    for await (const event of session) if (event.type === 'agent_end' && event.output !== '') return event.output;
    throw new Error('the session ended without an answer');
  }

  test('a question, a tool, an answer, and what it cost', async () => {
    await using session = await run();
    let heard = 0;
    session.on('audio', ({ data }) => void (heard += data.length));
    await session.sendMessage('How is the weather in Rome?');
    expect(await answered(session)).toContain('It rains in Rome.');
    expect(session.history).toMatchObject([
      { role: 'user', content: [{ text: 'How is the weather in Rome?' }] },
      { type: 'function_call', name: 'weather', status: 'completed', output: 'It rains in Rome.' },
      { role: 'assistant', status: 'completed' },
    ]);
    expect(heard).toBeGreaterThan(4_800);
    const { output_tokens = 0, seconds: billed } = session.usage;
    expect(seconds === true ? billed !== undefined : output_tokens > 0).toBe(true);
  });

  test('after a cut: the tool and what it returned are told as that, and the history is what it was', async () => {
    await using session = await run();
    await session.sendMessage('How is the weather in Rome?');
    await answered(session);
    const shown = (): string[] => session.history.map((item) => `${item.itemId} ${item.type} ${textOf(item)}`);
    const before = shown();
    const turns: string[] = [];
    session.on('agent_start', ({ responseId }) => void turns.push(responseId));
    await cut(session);
    const items = (): readonly { type: string; role?: string }[] => simulator.sessions().at(-1)?.items() ?? [];
    await expect.poll(() => JSON.stringify(items())).toContain('It rains in Rome.');
    await session.sendMessage('Thank you.');
    expect(await answered(session)).toContain('Thank you.');
    expect(shown().slice(0, before.length)).toEqual(before);
    expect(session.history.slice(before.length)).toMatchObject([{ role: 'user' }, { role: 'assistant' }]);
    expect(turns).toHaveLength(1);
    const told = items().filter(
      (item) => (item.role ?? 'user') === 'user' && JSON.stringify(item).includes('"It rains in'),
    );
    expect(told).toMatchObject([text === true ? { type: 'message', role: 'user' } : { type: 'function_call_output' }]);
    expect(items().filter(({ type }) => type === 'function_call')).toHaveLength(text === true ? 0 : 1);
  });

  test('a spoken turn: the words of both sides grow, and stand in the history', async () => {
    await using session = await run();
    const grown = { user: '', assistant: '' };
    session.on('history_delta', ({ itemId, delta }) => {
      const item = session.history.find((one) => one.itemId === itemId);
      if (item?.type === 'message' && item.role !== 'system') grown[item.role] += delta;
    });
    const sound = await encodeSpeech('hello there', { sampleRate: 24_000 });
    await session.sendAudio(new Uint8Array(sound.buffer, sound.byteOffset, sound.byteLength));
    await session.sendAudio(new Uint8Array(48 * 1_500));
    expect(await answered(session)).toBe('You said: hello there');
    expect(session.history.map((item) => [item.type === 'message' && item.role, textOf(item)])).toEqual([
      ['user', 'hello there'],
      ['assistant', 'You said: hello there'],
    ]);
    expect(grown).toEqual({ user: 'hello there', assistant: 'You said: hello there' });
  });
});

test('many sessions of one runner at once do not hear each other', async () => {
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 40 });
  const runner = new RealtimeRunner(agent, {
    model: createModel('simulator', { base_url: `${simulator.url}/v1`, key: 'any' }),
  });
  const cities = Array.from({ length: 20 }, (_, nth) => `City${nth}`);
  const outputs = await Promise.all(
    cities.map(async (city) => {
      await using session = await runner.run();
      await session.sendMessage(`How is the weather in ${city}?`);
      for await (const event of session) if (event.type === 'agent_end' && event.output !== '') return event.output;
      return '';
    }),
  );
  expect(outputs).toEqual(cities.map((city) => `It rains in ${city}.`));
});
