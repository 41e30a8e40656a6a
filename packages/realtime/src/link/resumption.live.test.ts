// A provider that keeps the conversation by a handle: what a session is told again after a cut or a renewal.

import { createModel } from '@parley/providers';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import type { RealtimeEventOf } from '../events.ts';
import { textOf } from '../history/item.ts';
import type { RealtimeRunConfig } from '../options.ts';
import { RealtimeRunner } from '../runner.ts';
import type { RealtimeSession } from '../session.ts';
import { tool } from '../tool.ts';

const SCRIPT = parseScript(`
rules:
  - heard: "look it up"
    call: { name: look, arguments: {} }
    then: "It is {{output}}."
  - heard: '"tool":"look"'
    say: "Found it."
otherwise: "You said: {{heard}}"
`);
const NO_HANDLE = { kind: 'close', code: 1008, reason: 'Session resumption handle not found.' } as const;

let simulator: Simulator;
const open: RealtimeSession[] = [];
beforeEach(async () => {
  simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 40 });
});
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
  await simulator.close();
});

type Connection = RealtimeEventOf<'connection'>;

interface Run {
  session: RealtimeSession;
  connections: Connection[];
  ask: (text: string) => Promise<string>;
  /** The next sound of the user cuts the connection; resolves with the next one. */
  cut: () => Promise<Connection>;
  nextConnected: () => Promise<Connection>;
}

async function run(look = (): string | Promise<string> => '42', config: RealtimeRunConfig = {}): Promise<Run> {
  const agent = new RealtimeAgent({
    name: 'desk',
    tools: [tool({ name: 'look', description: '', execute: () => look() })],
  });
  const model = createModel('gemini', { base_url: simulator.url, key: 'any' });
  const session = await new RealtimeRunner(agent, { model, config }).run();
  open.push(session);
  const connections: Connection[] = [];
  session.on('connection', (event) => void connections.push(event));
  const nextConnected = async (): Promise<Connection> => {
    const next = Promise.withResolvers<Connection>();
    session.on('connection', (event) => void (event.status === 'connected' && next.resolve(event)));
    return next.promise;
  };
  return {
    session,
    connections,
    nextConnected,
    ask: async (text) => {
      const said = answered(session);
      await session.sendMessage(text);
      return said;
    },
    cut: async () => {
      const next = nextConnected();
      simulator.faults.add({ when: 'append', kind: 'drop' });
      await session.sendAudio(new Uint8Array(4_800));
      return next;
    },
  };
}

async function answered(session: RealtimeSession): Promise<string> {
  const said = Promise.withResolvers<string>();
  session.on('agent_end', ({ output }) => void (output !== '' && said.resolve(output)));
  return said.promise;
}

/** What the provider has of the conversation. */
const known = (): string[] =>
  (simulator.sessions().at(-1)?.items() ?? []).map((item) =>
    (item.content ?? []).map((part) => part.text ?? part.transcript).join(''),
  );
const history = (session: RealtimeSession): string[] => session.history.map(textOf);

test('after a cut between two turns nothing is told again', async () => {
  const { session, ask, cut } = await run();
  await ask('good morning');
  expect(await cut()).toEqual({ type: 'connection', status: 'connected', resumed: true });
  expect(await ask('and again')).toBe('You said: and again');
  const all = ['good morning', 'You said: good morning', 'and again', 'You said: and again'];
  expect(known()).toEqual(all);
  expect(history(session)).toEqual(all);
});

test('what came after the handle is told besides', async () => {
  const { session, ask, cut } = await run();
  await ask('good morning');
  await session.sendMessage('I am in a hurry.', { triggerResponse: false });
  expect(await cut()).toMatchObject({ resumed: true, replayed: 1 });
  await expect.poll(known).toEqual(['good morning', 'You said: good morning', 'I am in a hurry.']);
  // And again, as long as there is no newer handle.
  expect(await cut()).toMatchObject({ resumed: true, replayed: 1 });
  await expect.poll(known).toEqual(['good morning', 'You said: good morning', 'I am in a hurry.']);
  await ask('so?');
  expect(await cut()).not.toHaveProperty('replayed');
  await expect.poll(() => known().length).toBe(5);
});

test('a handle that is refused costs one connection more, which is told the conversation', async () => {
  const { ask, cut } = await run();
  await ask('good morning');
  simulator.faults.add({ when: 'connected', ...NO_HANDLE });
  const connected = await cut();
  expect(connected).toMatchObject({ status: 'connected', replayed: 2 });
  expect(connected).not.toHaveProperty('resumed');
  await expect.poll(known).toEqual(['good morning', 'You said: good morning']);
  // What was refused is not offered again.
  expect(await cut()).not.toHaveProperty('resumed');
  await ask('and again');
  expect(await cut()).toMatchObject({ resumed: true });
});

test('before there is a handle the conversation is told', async () => {
  const { session, cut } = await run();
  await session.sendMessage('good morning', { triggerResponse: false });
  const connected = await cut();
  expect(connected).toMatchObject({ replayed: 1 });
  expect(connected).not.toHaveProperty('resumed');
});

test('a tool that runs across the cut runs once, and its output is told once', async () => {
  const done = Promise.withResolvers<string>();
  let ran = 0;
  const { session, ask, cut } = await run(() => {
    ran += 1;
    return done.promise;
  });
  await ask('good morning');
  const started = Promise.withResolvers<void>();
  session.on('agent_tool_start', () => started.resolve());
  await session.sendMessage('look it up');
  await started.promise;
  expect(await cut()).toMatchObject({ resumed: true, replayed: 1 });
  const said = answered(session);
  done.resolve('42');
  expect(await said).toBe('Found it.');
  expect(ran).toBe(1);
  expect(known().filter((text) => text.includes('"output":42'))).toHaveLength(1);
  expect(session.history.filter(({ type }) => type === 'function_call')).toMatchObject([{ output: '42' }]);
  expect(history(session)).toEqual(['good morning', 'You said: good morning', 'look it up', '', 'Found it.']);
});

test('an output that the model had not spoken of yet is told besides the handle', async () => {
  const { session, ask, cut } = await run();
  await ask('good morning');
  simulator.faults.add({ when: 'response', after: 1, kind: 'drop' });
  const said = answered(session);
  await session.sendMessage('look it up');
  // The answer to the output was cut: it is asked for again.
  expect(await said).toBe('Found it.');
  expect(known().filter((text) => text.includes('"output":42'))).toHaveLength(1);
  expect(session.history.filter(({ type }) => type === 'function_call')).toHaveLength(1);
  expect(await cut()).toMatchObject({ resumed: true });
});

test('a renewal goes by the newest handle', async () => {
  const { session, connections, ask, nextConnected } = await run();
  await ask('good morning');
  const next = nextConnected();
  simulator.faults.add({ when: 'append', kind: 'frame', data: '{"goAway":{"timeLeft":"10s"}}' });
  await session.sendAudio(new Uint8Array(4_800));
  expect(await next).toEqual({ type: 'connection', status: 'connected', resumed: true });
  expect(connections.map(({ status }) => status)).toEqual(['renewing', 'connected']);
  expect(await ask('and again')).toBe('You said: and again');
  expect(history(session)).toHaveLength(4);
  await expect.poll(() => simulator.sessions().length).toBe(1);
});

test('a renewal whose handle is refused is told the conversation, and asks no second time', async () => {
  const { session, connections, ask, nextConnected } = await run();
  await ask('good morning');
  const next = nextConnected();
  simulator.faults.add({ when: 'connected', ...NO_HANDLE });
  simulator.faults.add({ when: 'append', kind: 'frame', data: '{"goAway":{"timeLeft":"10s"}}' });
  await session.sendAudio(new Uint8Array(4_800));
  const connected = await next;
  expect(connected).toMatchObject({ replayed: 2 });
  expect(connected).not.toHaveProperty('resumed');
  expect(connections.map(({ status }) => status)).toEqual(['renewing', 'connected']);
  expect(await ask('and again')).toBe('You said: and again');
  await expect.poll(() => simulator.sessions().length).toBe(1);
});

test('a renewal that waited for the end of an answer goes by the handle of that answer', async () => {
  await simulator.close();
  // Slow enough that the answer is still being generated when the next connection is there.
  simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 4 });
  const { session, connections, ask, nextConnected } = await run();
  await ask('good morning');
  const next = nextConnected();
  const begun = Promise.withResolvers<void>();
  session.on('audio_start', () => begun.resolve());
  const said = ask('count one two three four');
  await begun.promise;
  simulator.faults.add({ when: 'append', kind: 'frame', data: '{"goAway":{"timeLeft":"10s"}}' });
  await session.sendAudio(new Uint8Array(4_800));
  await expect.poll(() => simulator.sessions().length).toBe(2);
  expect(await said).toBe('You said: count one two three four');
  expect(await next).toEqual({ type: 'connection', status: 'connected', resumed: true });
  expect(connections.map(({ status }) => status)).toEqual(['renewing', 'connected']);
  await expect.poll(() => simulator.sessions().length).toBe(1);
  expect(known()).toHaveLength(4);
});
