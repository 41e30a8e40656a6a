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

const ROWS = [
  { provider: 'openai', path: '/v1' },
  { provider: 'azure_openai', path: '/openai/v1' },
  { provider: 'openai_compatible', path: '/v1' },
  { provider: 'xai', path: '/xai/v1' },
  { provider: 'gemini', path: '' },
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

describe.for(ROWS)('$provider', ({ provider, path, seconds }) => {
  let simulator: Simulator;
  beforeAll(async () => {
    simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 40 });
  });
  afterAll(() => simulator.close());

  function run(): Promise<RealtimeSession> {
    const model = createModel(provider, { base_url: `${simulator.url}${path}`, key: 'any' });
    return new RealtimeRunner(agent, { model }).run();
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
