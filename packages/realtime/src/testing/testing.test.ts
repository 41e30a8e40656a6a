// The test kit itself: what it promises about orders, faults and recordings.

import { parseScript, startSimulator } from '@parley/simulator';
import { expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import { RealtimeRunner } from '../runner.ts';
import { started } from '../test-support/started.ts';
import { tool } from '../tool.ts';
import { recordTape, tapeModel } from './tape.ts';

const look = tool({ name: 'look', description: '', execute: () => 'seen' });
const desk = new RealtimeAgent({ name: 'desk', tools: [look] });

test('one seed gives one order, other seeds others, and every call is answered once in all of them', async () => {
  const orderOf = async (seed: number): Promise<string> => {
    const { session, scripted, time, events } = await started(
      desk,
      [{ calls: [{ name: 'look' }, { name: 'look' }] }, 'One.', { calls: [{ name: 'look' }] }, 'Two.'],
      { seed, jitterMs: 40 },
    );
    void session.sendMessage('a');
    await time.pass(seed % 60);
    void session.sendMessage('b');
    await time.pass(30);
    session.interrupt();
    await time.pass(seed % 90);
    scripted.connection.drop();
    await time.pass(20_000);
    const outputs = scripted.outputs();
    for (const [callId, list] of outputs) expect([seed, callId, new Set(list).size]).toEqual([seed, callId, 1]);
    for (const { callId } of events.filter((event) => event.type === 'agent_tool_end')) {
      // Sent again only where a new connection had to be told of it.
      expect(outputs.get(callId)?.length ?? 0).toBeLessThanOrEqual(2);
    }
    expect(session.history.every(({ itemId }, at, all) => all.findIndex((item) => item.itemId === itemId) === at)).toBe(
      true,
    );
    await session.close();
    return events.map(({ type }) => type).join();
  };
  const orders = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) orders.add(await orderOf(seed));
  expect(orders.size).toBeGreaterThan(5);
  expect(await orderOf(7)).toBe(await orderOf(7));
});

test('a frame that is lost, doubled or late is survived', async () => {
  for (const fault of [
    { kind: 'lose', type: 'response.created' },
    { kind: 'lose', type: 'response.output_item.done' },
    { kind: 'lose', type: 'conversation.item.done' },
    { kind: 'duplicate', type: 'response.output_item.done' },
    { kind: 'duplicate', type: 'response.done' },
    { kind: 'delay', type: 'response.done', ms: 500 },
  ] as const) {
    const { session, scripted, time } = await started(desk, [{ calls: [{ name: 'look', callId: 'c1' }] }, 'Seen.']);
    scripted.fault(fault);
    await session.sendMessage('go');
    await time.pass(40_000);
    expect({ fault, outputs: scripted.outputs().get('c1') }).toEqual({ fault, outputs: ['seen'] });
    expect({ fault, last: session.history.at(-1) }).toMatchObject({
      fault,
      last: { content: [{ transcript: 'Seen.' }] },
    });
    await session.close();
  }
});

test('a conversation that was recorded is played back to the same end, without the provider', async () => {
  const script = parseScript('rules: [{ heard: look, call: { name: look }, then: "You {{output}} it." }]');
  const simulator = await startSimulator({ script });
  const { model, tape } = recordTape('simulator', { base_url: `${simulator.url}/v1` });
  const talk = async (by: typeof model): Promise<unknown[]> => {
    const session = await new RealtimeRunner(desk, { model: by }).run();
    let ends = 0;
    const over = new Promise<void>((resolve) => session.on('agent_end', () => void ((ends += 1) === 2 && resolve())));
    await session.sendMessage('look');
    await over;
    const items = session.history.map((item) =>
      item.type === 'message' ? item.content : [item.type, 'output' in item ? item.output : ''],
    );
    await session.close();
    return items;
  };
  const recorded = await talk(model);
  await simulator.close();
  expect(recorded).toHaveLength(3);
  const kept = JSON.parse(JSON.stringify(tape)) as typeof tape;
  expect(kept.connections[0]?.length).toBeGreaterThan(20);
  const played = tapeModel(kept);
  expect(await talk(played.model)).toEqual(recorded);
  expect(played.differences).toEqual([]);
  expect(played.finished).toBe(true);
});
