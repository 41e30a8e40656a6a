// A whole session against the simulator, over a real WebSocket.

import { createModel } from '@parley/providers';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { RealtimeAgent } from './agent.ts';
import type { RealtimeSessionEvent } from './events.ts';
import { RealtimeRunner } from './runner.ts';
import { tool } from './tool.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({
    script: parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.ship_day}}."
otherwise: "You said: {{heard}}"
`),
  });
});
afterAll(() => simulator[Symbol.asyncDispose]());

const lookUp = tool({
  name: 'lookup_order',
  description: 'Looks up an order.',
  parameters: z.object({ order: z.string() }),
  execute: ({ order }) => ({ order, ship_day: 'Friday' }),
});

test.for([
  { provider: 'simulator', path: '/v1' },
  { provider: 'openai_compatible', path: '/v1' },
  { provider: 'gemini', path: '' },
])('$provider: a message is answered in sound and words, by way of a tool', async ({ provider, path }) => {
  const model = createModel(provider, { base_url: `${simulator.url}${path}`, key: 'any' });
  const agent = new RealtimeAgent({ name: 'desk', instructions: 'Answer questions about orders.', tools: [lookUp] });
  await using session = await new RealtimeRunner(agent, { model }).run();
  await session.sendMessage('Where is order 42?');
  const events: RealtimeSessionEvent[] = [];
  let ends = 0;
  for await (const event of session) {
    events.push(event);
    if (event.type === 'agent_end') ends += 1;
    if (event.type === 'error') throw event.error;
    if (ends === 2) break;
  }
  const types = new Set(events.map((event) => event.type));
  expect([...types]).toEqual(
    expect.arrayContaining([
      'connection',
      'agent_start',
      'agent_tool_start',
      'agent_tool_end',
      'audio',
      'history_delta',
    ]),
  );
  expect(session.history).toMatchObject([
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Where is order 42?' }] },
    { type: 'function_call', name: 'lookup_order', status: 'completed', output: '{"order":"42","ship_day":"Friday"}' },
    {
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_audio', transcript: 'Order 42 ships on Friday.' }],
    },
  ]);
  const bytes = events.reduce((sum, event) => sum + (event.type === 'audio' ? event.data.length : 0), 0);
  expect(bytes).toBeGreaterThan(4800);
});
