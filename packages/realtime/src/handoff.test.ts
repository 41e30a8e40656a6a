// Handing the conversation over, and back.

import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { type AgentHooks, RealtimeAgent } from './agent.ts';
import { handoff } from './handoff.ts';
import type { RealtimeSession } from './session.ts';
import { started } from './test-support/started.ts';
import { tool } from './tool.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function run(...args: Parameters<typeof started>) {
  const all = await started(...args);
  open.push(all.session);
  return all;
}

const noted = (name: string, answer: string) => tool({ name, description: '', execute: () => answer });
const typesAfter = (sent: readonly { type: string }[], from: number) => sent.slice(from).map(({ type }) => type);

test('the new configuration goes out before the output, and the answer comes from the new agent', async () => {
  const billing = new RealtimeAgent({
    name: 'billing',
    instructions: 'You do billing.',
    tools: [noted('refund', 'done')],
  });
  const desk = new RealtimeAgent({ name: 'desk', handoffs: [billing], tools: [noted('look', 'x')] });
  const { session, scripted, time, of } = await run(desk, [
    { calls: [{ name: 'transfer_to_billing', callId: 'c1' }] },
    'Billing here.',
  ]);
  expect(scripted.connection.session).toMatchObject({ tools: [{ name: 'look' }, { name: 'transfer_to_billing' }] });
  const before = scripted.sent.length;
  await session.sendMessage('a refund please');
  await time.settle();
  expect(typesAfter(scripted.sent, before + 2)).toEqual([
    'session.update',
    'conversation.item.create',
    'response.create',
  ]);
  expect(scripted.outputs().get('c1')).toEqual(['{"assistant":"billing"}']);
  expect(scripted.framesOf('session.update').at(-1)).toMatchObject({
    session: { instructions: 'You do billing.', tools: [{ name: 'refund' }] },
  });
  expect(session.currentAgent).toBe(billing);
  expect(of('agent_handoff')).toMatchObject([{ fromAgent: desk, toAgent: billing, callId: 'c1' }]);
  expect(of('agent_start').map(({ agent }) => agent.name)).toEqual(['desk', 'billing']);
});

test('a call beside the handoff goes to the agent that was speaking, however late it comes', async () => {
  const ran: string[] = [];
  const mine = (who: string) => tool({ name: 'look', description: '', execute: () => void ran.push(who) });
  const billing = new RealtimeAgent({ name: 'billing', tools: [mine('billing')] });
  const desk = new RealtimeAgent({ name: 'desk', tools: [mine('desk')], handoffs: [billing] });
  const { session, scripted, time, of } = await run(desk, [{ calls: [{ name: 'transfer_to_billing' }], hold: true }]);
  await session.sendMessage('go');
  await time.settle();
  expect(session.currentAgent).toBe(billing);
  const item = { id: 'late', type: 'function_call', status: 'completed', call_id: 'c2', name: 'look', arguments: '{}' };
  const response_id = of('agent_start')[0]?.responseId;
  scripted.connection.say({ type: 'response.output_item.done', response_id, output_index: 1, item });
  await time.settle();
  scripted.connection.finish();
  await time.settle();
  expect(ran).toEqual(['desk']);
  expect(of('agent_tool_end').find(({ callId }) => callId === 'c2')?.agent).toBe(desk);
});

test('voice, formats and settings survive; a voice changes only before the first sound', async () => {
  const quiet = new RealtimeAgent({ name: 'quiet', voice: 'cedar' });
  const loud = new RealtimeAgent({ name: 'loud', voice: 'marin', handoffs: [quiet] });
  const config = { modelSettings: { audio: { output: { format: 'g711_ulaw' as const, speed: 1.2 } } } };
  const { session, scripted, time } = await run(loud, ['Hello.', { calls: [{ name: 'transfer_to_quiet' }] }], {
    config,
  });
  await session.updateAgent(quiet);
  expect(scripted.framesOf('session.update').at(-1)).toMatchObject({
    session: { audio: { output: { voice: 'cedar' } } },
  });
  await session.updateAgent(loud);
  await session.sendMessage('hi');
  await time.pass(5_000);
  await session.updateAgent(quiet);
  const last = scripted.framesOf('session.update').at(-1)?.['session'];
  expect(last).not.toHaveProperty('audio');
  expect(last).toHaveProperty('tools', []);
});

test('a way back is there where it was asked for, without the other agent naming anybody', async () => {
  const billing = new RealtimeAgent({ name: 'billing' });
  const desk = new RealtimeAgent({ name: 'desk', handoffs: [handoff(billing, { wayBack: true })] });
  const { session, scripted, time } = await run(desk, [
    { calls: [{ name: 'transfer_to_billing' }] },
    { calls: [{ name: 'transfer_to_desk' }] },
    'Back again.',
  ]);
  await session.sendMessage('go');
  await time.settle();
  expect(session.currentAgent).toBe(desk);
  expect(scripted.framesOf('session.update').map(({ session: told }) => told)).toMatchObject([
    { tools: [{ name: 'transfer_to_billing' }] },
    { tools: [{ name: 'transfer_to_desk' }] },
    { tools: [{ name: 'transfer_to_billing' }] },
  ]);
});

test('input is validated, onHandoff runs first, and what throws keeps the conversation where it is', async () => {
  const seen: unknown[] = [];
  const billing = new RealtimeAgent({ name: 'billing' });
  const desk = new RealtimeAgent({
    name: 'desk',
    handoffs: [
      handoff(billing, {
        inputType: z.object({ reason: z.string() }),
        onHandoff: (_, { reason }) => {
          seen.push(reason);
          if (reason === 'none') throw new Error('no reason');
        },
      }),
    ],
  });
  const ask = (callId: string, args: unknown) => ({
    calls: [{ name: 'transfer_to_billing', callId, arguments: args }],
  });
  const { session, scripted, time } = await run(desk, [
    ask('c1', {}),
    ask('c2', { reason: 'none' }),
    ask('c3', { reason: 'money' }),
  ]);
  await session.sendMessage('go');
  await time.settle();
  expect(seen).toEqual(['none', 'money']);
  expect(scripted.outputs().get('c1')?.[0]).toContain('invalid_argument');
  expect(scripted.outputs().get('c2')?.[0]).toContain('no reason');
  expect(session.currentAgent).toBe(billing);
});

test('two handoffs in one answer: the first is made, the second is told so', async () => {
  const one = new RealtimeAgent({ name: 'one' });
  const two = new RealtimeAgent({ name: 'two' });
  const desk = new RealtimeAgent({ name: 'desk', handoffs: [one, two] });
  const { session, scripted, time } = await run(desk, [
    {
      calls: [
        { name: 'transfer_to_one', callId: 'c1' },
        { name: 'transfer_to_two', callId: 'c2' },
      ],
    },
  ]);
  await session.sendMessage('go');
  await time.settle();
  expect(session.currentAgent).toBe(one);
  expect(scripted.outputs().get('c2')?.[0]).toContain('failed_precondition');
});

test('names that are twice there are refused before anything is connected; switched-off ones do not count', async () => {
  const billing = new RealtimeAgent({ name: 'billing' });
  const off = tool({ name: 'transfer_to_billing', description: '', execute: () => 1, isEnabled: false });
  const on = tool({ name: 'transfer_to_billing', description: '', execute: () => 1 });
  await run(new RealtimeAgent({ name: 'desk', handoffs: [billing], tools: [off] }));
  await expect(run(new RealtimeAgent({ name: 'desk', handoffs: [billing], tools: [on] }))).rejects.toMatchObject({
    code: 'invalid_argument',
  });
});

test('hooks are called, and one that throws is an error event and no more', async () => {
  const heard: string[] = [];
  const hooks = (who: string): AgentHooks => ({
    onStart: () => void heard.push(`${who} start`),
    onEnd: (_, __, output) => void heard.push(`${who} end ${output}`),
    onHandoff: (_, __, source) => void heard.push(`${who} from ${source.name}`),
    onToolStart: (_, __, { name }) => void heard.push(`${who} tool ${name}`),
    onToolEnd: (_, __, ___, result) => {
      heard.push(`${who} got ${result}`);
      throw new Error('bad hook');
    },
  });
  const billing: RealtimeAgent = new RealtimeAgent({ name: 'billing', hooks: hooks('billing') });
  const desk = new RealtimeAgent({
    name: 'desk',
    tools: [noted('look', 'seen')],
    handoffs: [billing],
    hooks: hooks('desk'),
  });
  const { session, time, of } = await run(desk, [
    { calls: [{ name: 'look' }] },
    { calls: [{ name: 'transfer_to_billing' }] },
    'Hi.',
  ]);
  await session.sendMessage('go');
  await time.settle();
  expect(heard.toSorted()).toEqual(
    [
      'desk start',
      'desk end ',
      'desk tool look',
      'desk got seen',
      'desk start',
      'desk end ',
      'billing from desk',
      'billing start',
      'billing end Hi.',
    ].toSorted(),
  );
  expect(of('error')).toMatchObject([{ source: 'hook' }]);
});
