// Calls that are held in this process, with the real adapter and the real simulator, over loopback.

import { type EventRecord, LIMITS } from '@parley/core';
import { leaseModel } from './local-model.ts';
import { createModel } from '@parley/providers';
import { parseScript, startSimulator } from '@parley/simulator';
import { memorySocketPair, systemClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Agent } from '../agent.ts';
import { holdCallsAt } from '../call.ts';
import type { RealtimeSession } from '../realtime-session.ts';
import { LocalHost, type LocalHostOptions } from './local-host.ts';

const SCRIPT = parseScript(`
rules:
  - heard: 'order (\\d+)'
    call: { name: find_order, arguments: { order: '$1' } }
    then: 'Order $1 is {{output.state}}.'
    on_error: 'That went wrong.'
otherwise: 'You said: {{heard}}'
`);

async function held(agent: Agent, options: LocalHostOptions = {}) {
  const simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: Number.POSITIVE_INFINITY });
  const entries: EventRecord[] = [];
  const model = createModel('simulator', { base_url: `${simulator.url}/v1` });
  holdCallsAt(
    agent,
    new LocalHost({
      lease: async () => ({ model, release: () => undefined }),
      listener: (entry) => void entries.push(entry),
      ...options,
    }),
  );
  const until = async <T extends EventRecord['type']>(type: T): Promise<Extract<EventRecord, { type: T }>> => {
    await expect.poll(() => entries.some((entry) => entry.type === type)).toBe(true);
    return entries.find((entry) => entry.type === type) as Extract<EventRecord, { type: T }>;
  };
  return { entries, until, simulator };
}

function desk(): Agent {
  const agent = new Agent('desk');
  agent.skill('find_order', { input: z.object({ order: z.string() }) }, ({ order }) => {
    if (order === '13') throw new Error('it burned');
    return { state: `on its way as ${order}` };
  });
  return agent;
}

test('an agent joins a call, its model calls a function of it, and leaving ends the call', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket', tools: ['find_order'] });
  const { until, entries, simulator } = await held(agent);
  await using _ = simulator;
  {
    await using joined = await agent.join(agent.createCall('default', 'call-1'));
    expect(joined.call).toEqual({ type: 'default', id: 'call-1', session: 'voice' });
    await agent.simpleResponse('where is order 42?');
    await expect.poll(() => entries.filter(({ type }) => type === 'response.completed').length).toBe(2);
    expect(await until('tool.completed')).toMatchObject({ status: 'succeeded', output: { state: 'on its way as 42' } });
    const spoken = entries.findLast((entry) => entry.type === 'response.completed');
    expect(spoken).toMatchObject({ text: 'Order 42 is on its way as 42.' });
  }
  await agent.finish();
  expect(await until('session.closed')).toMatchObject({ reason: 'agent_left', tool_calls: 1 });
});

test('a handler answers the turns of a client, and ends the call by returning', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    const turn = await session.input();
    const found = await session.call<{ state: string }>('find_order', { order: turn.text });
    const said = await session.say(`It is ${found.state}.`);
    expect(said).toEqual({ interrupted: false, spokenText: 'It is on its way as 7.' });
  });
  const { until, simulator } = await held(agent);
  await using _ = simulator;
  const joined = await agent.join(agent.createCall('voice', 'call-2'));
  const [client, place] = memorySocketPair();
  const frames: string[] = [];
  client.onFrame((frame) => frames.push((JSON.parse(frame.toString()) as { type: string }).type));
  joined.attach(place);
  await until('provider.connected');
  const content = [{ type: 'input_text', text: '7' }];
  client.send(JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } }));
  await agent.finish();
  expect(frames.filter((type) => type === 'session.created')).toHaveLength(1);
  expect(frames[0]).toBe('session.created');
  expect(frames).toContain('response.output_audio.delta');
  expect((await joined.ended).reason).toBe('handler_completed');
});

test('a client that takes over is greeted as the first one was, and the call goes on', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' });
  const { until, simulator } = await held(agent);
  await using _ = simulator;
  await using joined = await agent.join(agent.createCall('voice', 'call-7'));
  const [first, place] = memorySocketPair();
  const closed = new Promise<number>((resolve) => first.onClose(({ code }) => resolve(code)));
  first.onFrame(() => undefined);
  joined.attach(place);
  await until('provider.connected');
  const [second, other] = memorySocketPair();
  const types: string[] = [];
  second.onFrame((frame) => types.push((JSON.parse(frame.toString()) as { type: string }).type));
  joined.attach(other);
  expect(await closed).toBe(4510);
  second.send('{"type":"response.create"}');
  await expect.poll(() => types.includes('response.done')).toBe(true);
  expect(types.filter((type) => type === 'session.created')).toEqual(['session.created']);
});

test('a function that throws is told to the model, and the call goes on', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket', tools: ['find_order'] });
  const { until, entries, simulator } = await held(agent);
  await using _ = simulator;
  await using joined = await agent.join(agent.createCall('voice', 'call-3'));
  await agent.simpleResponse('order 13');
  expect(await until('tool.completed')).toMatchObject({ status: 'failed', error: { message: 'it burned' } });
  await expect
    .poll(() => entries.findLast((entry) => entry.type === 'response.completed'))
    .toMatchObject({ text: 'That went wrong.' });
  expect(joined.session.signal.aborted).toBe(false);
});

test('a handler that throws ends its call, and finish says why', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    await session.input();
    throw new Error('the handler fell over');
  });
  const { until, simulator } = await held(agent);
  await using _ = simulator;
  const joined = await agent.join(agent.createCall('voice', 'call-4'));
  const ended = agent.finish().catch((error: unknown) => error);
  const [client, place] = memorySocketPair();
  client.onFrame(() => undefined);
  joined.attach(place);
  await until('provider.connected');
  const content = [{ type: 'input_text', text: 'hello' }];
  client.send(JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } }));
  expect(await ended).toMatchObject({ message: 'the handler fell over' });
});

test('an agent is in one call at a time, and in none before it joined', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' });
  const { simulator } = await held(agent);
  await using _ = simulator;
  await expect(agent.finish()).rejects.toMatchObject({ code: 'failed_precondition' });
  const first = await agent.join(agent.createCall('voice', 'one'));
  await expect(agent.join(agent.createCall('voice', 'two'))).rejects.toThrow('is in call one already');
  await first.leave();
  await using second = await agent.join(agent.createCall('voice', 'two'));
  expect(second.call.id).toBe('two');
});

test('a call names the session it is held with, or says which there are', () => {
  const agent = desk();
  expect(() => agent.createCall('default', 'x')).toThrow("agent desk has no session 'default'. Its sessions: none.");
  agent.session('voice', { provider: 'simulator', transport: 'websocket' });
  expect(agent.createCall('default', 'x').session).toBe('voice');
  agent.session('sales', { provider: 'simulator', transport: 'websocket' });
  expect(agent.createCall('sales', 'x').session).toBe('sales');
  expect(agent.createCall('default', 'x', { session: 'voice' }).session).toBe('voice');
  expect(() => agent.createCall('default', 'x')).toThrow('Its sessions: sales, voice.');
});

test('a provider that is not there ends the call with its own error', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' });
  const model = createModel('simulator', { base_url: 'http://127.0.0.1:9/v1' });
  holdCallsAt(agent, new LocalHost({ lease: async () => ({ model, release: () => undefined }) }));
  await agent.join(agent.createCall('voice', 'call-5'));
  await agent.simpleResponse('hello');
  await expect(agent.finish()).rejects.toMatchObject({ code: 'unavailable' });
});

test('a simulator is started where none is named, and a provider without a key says what is missing', async () => {
  const lease = await leaseModel('simulator', systemClock, {});
  expect(lease.model.provider).toBe('simulator');
  lease.release();
  await expect(leaseModel('openai', systemClock, {})).rejects.toThrow(
    'provider openai is not set up: set OPENAI_API_KEY, or use the provider simulator, which needs no key',
  );
});

test('a session that is declared for WebRTC, or for another provider, is held over a WebSocket here', async () => {
  const agent = desk().session('voice', { provider: 'openai', transport: 'websocket', model: 'gpt-realtime-2.1' });
  const { until, simulator } = await held(agent, { provider: 'simulator' });
  await using _ = simulator;
  await using joined = await agent.join(agent.createCall('voice', 'call-6'));
  expect(joined.session.declaration).toMatchObject({ provider: 'simulator', transport: 'websocket' });
  expect(joined.session.declaration.model).toBeUndefined();
  await joined.session.inject('hello', { respond: true });
  expect(await until('response.completed')).toMatchObject({ text: 'You said: hello' });
});

test.for<[string, (session: RealtimeSession) => Promise<unknown>]>([
  ['text must not be empty', (session) => session.say('')],
  ['text must have at most 16384 characters', (session) => session.say('a'.repeat(16_385))],
  ['text must be a string, got null', (session) => session.say(null as unknown as string)],
  ['text must be a string, got number', (session) => session.inject(7 as unknown as string)],
  ['instructions must be a string, got number', (session) => session.update({ instructions: 7 as unknown as string })],
  ['tools[0] must be a string, got number', (session) => session.update({ tools: [7] as unknown as string[] })],
  ['reason must be a string, got object', (session) => session.close({} as unknown as string)],
])('what a handler may not ask of a control plane it may not ask here: %s', async ([words, ask]) => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket', tools: ['find_order'] });
  const { entries, simulator } = await held(agent);
  await using _ = simulator;
  await using joined = await agent.join(agent.createCall('voice', 'call-8'));
  const before = entries.length;
  await expect(ask(joined.session)).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(words) as string,
  });
  expect(entries).toHaveLength(before);
});

test('what is asked of a call that has ended is told how it ended, as at a control plane', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' });
  const { simulator } = await held(agent);
  await using _ = simulator;
  const joined = await agent.join(agent.createCall('voice', 'call-9'));
  await joined.leave('enough');
  const { session } = joined;
  for (const ask of [() => session.say('Hello?'), () => session.inject('hello'), () => session.close()]) {
    await expect(ask()).rejects.toMatchObject({ code: 'cancelled', details: { reason: 'enough' } });
  }
});

test('texts that wait for the model are bounded, as at a control plane', async () => {
  const agent = desk().session('voice', { provider: 'simulator', transport: 'websocket' });
  const model = Object.assign(createModel('simulator', { base_url: 'http://127.0.0.1:9/v1' }), {
    connect: () => new Promise<never>(() => undefined),
  });
  holdCallsAt(agent, new LocalHost({ lease: async () => ({ model, release: () => undefined }) }));
  await using joined = await agent.join(agent.createCall('voice', 'call-10'));
  for (let at = 0; at < LIMITS.texts_waiting_max; at += 1) await joined.session.inject('hello');
  await expect(joined.session.inject('one more')).rejects.toMatchObject({
    code: 'resource_exhausted',
    details: { limit: LIMITS.texts_waiting_max },
  });
});
