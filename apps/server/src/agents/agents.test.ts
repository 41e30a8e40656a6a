// Links from registration to their end, and who is given work.

import { expect, test } from 'vitest';
import { skill, TestServer } from './server.test.peer.ts';

test('a registered agent is told its link and listed with what it offers', async () => {
  await using server = await TestServer.open();
  const agent = await server.dial();
  agent.register({ functions: [skill('look')], sessions: [voice()] as never });
  const registered = await agent.next('agent.registered');
  expect(registered).toMatchObject({ link_id: server.links[0]?.link_id, wanted: [], heartbeat_ms: 10_000 });
  expect(server.agents.get('support')).toMatchObject({
    agent_id: registered.agent_id,
    status: 'connected',
    links: [{ link_id: registered.link_id, status: 'connected', executions: 0, sessions: 0 }],
    functions: [{ name: 'look', kind: 'skill' }],
    sessions: [{ name: 'voice', provider: 'openai', transport: 'websocket', tools: [] }],
  });
  expect(server.agents.session('support', 'voice')).toMatchObject({ provider: 'openai', responder: 'model' });
  expect(server.agents.function('support', 'look')).toBe(server.agents.function('support', 'look'));
  expect(server.agents.function('support', 'sing')).toBeUndefined();
});

const WRONG: [string, object, RegExp, string][] = [
  ['an agent name', { agent: 'Support!' }, /agent must match/, 'agent'],
  [
    'a session without a provider',
    { sessions: [{ name: 'voice', transport: 'websocket', provider: '' }] },
    /Parley does not infer providers/,
    'sessions[0].provider',
  ],
  [
    'a session with an unknown field',
    { sessions: [{ ...voice(), colour: 'red' }] },
    /colour is not a known field/,
    'sessions[0].colour',
  ],
  [
    'a function with a wrong kind',
    { functions: [{ name: 'look', kind: 'magic' }] },
    /kind must be one of/,
    'functions[0].kind',
  ],
  [
    'a schema that cannot be compiled',
    { functions: [skill('look', { input_schema: { type: 'nothing' } })] },
    /not a valid JSON Schema/,
    'functions[0].input_schema',
  ],
  [
    'a function twice',
    { functions: [skill('look'), skill('look')] },
    /'look' is registered twice/,
    'functions[1].name',
  ],
  ['a session twice', { sessions: [voice(), voice()] }, /'voice' is registered twice/, 'sessions[1].name'],
];

test.each(WRONG)('a registration with %s is refused by the name of the field', async (_, wrong, message, path) => {
  await using server = await TestServer.open();
  const agent = await server.dial();
  agent.register(wrong);
  const { error } = await agent.next('agent.error');
  expect(error).toMatchObject({ code: 'invalid_argument', details: { path } });
  expect(error.message).toMatch(message);
  expect(await agent.closed).toMatchObject({ code: 4503 });
  expect(server.agents.list()).toEqual([]);
});

test('the first frame must be agent.register, and must come in time', async () => {
  await using server = await TestServer.open();
  const hasty = await server.dial();
  hasty.send({ type: 'agent.heartbeat', load: { executions: 0, sessions: 0 } });
  expect(await hasty.closed).toMatchObject({ code: 4509 });
  const silent = await server.dial();
  server.clock.advance(11_000);
  expect(await silent.closed).toMatchObject({ code: 4004 });
});

test('a frame that cannot be read is refused and the link stays, until it is one too many', async () => {
  await using server = await TestServer.open({ agents: { violations_max: 3 } });
  const agent = await server.agent();
  agent.raw('{"type":"agent.dance"}');
  expect((await agent.next('agent.error')).error).toMatchObject({
    code: 'invalid_argument',
    details: { path: 'type' },
  });
  agent.raw('not json');
  expect((await agent.next('agent.error')).error.message).toMatch(/not JSON/);
  agent.send({ type: 'execution.accepted', execution_id: 'x', more: 1 } as never);
  await agent.settle();
  for (let i = 0; i < 4; i++) agent.raw('[');
  expect(await agent.closed).toMatchObject({ code: 4503 });
});

test('a second agent.register on one link is refused and changes nothing', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  agent.register({ agent: 'other' });
  expect((await agent.next('agent.error')).error).toMatchObject({ code: 'failed_precondition' });
  await agent.settle();
  expect(server.agents.known('other')).toBe(false);
});

test('a frame larger than the limit ends the link, and coming back would not help', async () => {
  await using server = await TestServer.open({ agents: { frame_bytes_max: 2000 } });
  const agent = await server.agent();
  agent.raw(JSON.stringify({ type: 'execution.note', execution_id: 'x', text: 'y'.repeat(3000) }));
  expect(await agent.closed).toMatchObject({ code: 4508 });
});

test('a silent link is closed when its lease is over, one with heartbeats is not', async () => {
  await using server = await TestServer.open();
  const silent = await server.agent();
  const alive = await server.agent({ agent: 'alive' });
  const seen = () => server.agents.get('alive')?.last_seen_ms ?? 0;
  const before = seen();
  server.clock.advance(20_000);
  await alive.settle();
  expect(seen()).toBe(before + 20_000);
  server.clock.advance(15_000);
  expect(await silent.closed).toMatchObject({ code: 4004 });
  await alive.settle();
  expect(server.agents.list().map((one) => [one.agent, one.status])).toEqual([
    ['alive', 'connected'],
    ['support', 'disconnected'],
  ]);
});

test('an instance that registers again replaces its older link', async () => {
  await using server = await TestServer.open();
  const older = await server.agent({ instance_id: 'one' });
  const newer = await server.agent({ instance_id: 'one' });
  expect(await older.closed).toMatchObject({ code: 4510 });
  expect(server.agents.get('support')?.links).toHaveLength(1);
  await newer.settle();
});

test('work goes to the least loaded of several instances, and never past a capacity', async () => {
  await using server = await TestServer.open();
  const small = await server.agent({ capacity: { executions: 1 } });
  const large = await server.agent({ capacity: { executions: 3 } });
  const start = () => server.executions.start({ target: 'support.look', input: {} });
  for (let i = 0; i < 6; i++) await start();
  await small.next('execution.dispatch');
  for (let i = 0; i < 3; i++) await large.next('execution.dispatch');
  await small.settle();
  await large.settle();
  expect([...small.frames, ...large.frames].filter((frame) => frame.type === 'execution.dispatch')).toEqual([]);
  expect(server.executions.running).toBe(6);
});

test('load from elsewhere counts when the least loaded is chosen', async () => {
  await using server = await TestServer.open();
  const busy = await server.agent();
  const idle = await server.agent();
  busy.send({ type: 'agent.heartbeat', load: { executions: 50, sessions: 0 } });
  await busy.next('agent.alive');
  for (let i = 0; i < 3; i++) await server.executions.start({ target: 'support.look', input: {} });
  for (let i = 0; i < 3; i++) await idle.next('execution.dispatch');
  await busy.settle();
  expect(busy.frames).toEqual([]);
});

test('instances that are equally free take turns', async () => {
  await using server = await TestServer.open();
  const agents = [await server.agent(), await server.agent()];
  const picked: number[] = [];
  for (let i = 0; i < 4; i++) {
    const { execution_id } = await server.executions.start({ target: 'support.look', input: {} });
    for (const agent of agents) await agent.settle();
    const who = agents.findIndex((agent) => agent.frames.some((frame) => frame.type === 'execution.dispatch'));
    picked.push(who);
    await agents[who]?.next('execution.dispatch');
    agents[who]?.send({ type: 'execution.result', execution_id, status: 'succeeded' });
    await server.executions.ended(execution_id);
  }
  expect(picked).toEqual([0, 1, 0, 1]);
});

test('a draining agent gets nothing new and finishes what it has', async () => {
  await using server = await TestServer.open();
  const old = await server.agent();
  const { execution_id } = await server.executions.start({ target: 'support.look', input: {} });
  await old.accept();
  old.send({ type: 'agent.drain' });
  await old.settle();
  expect(server.agents.get('support')?.status).toBe('draining');
  expect(server.agents.function('support', 'look')).toBeUndefined();
  const waiting = await server.executions.start({ target: 'support.look', input: {} });
  expect(waiting.reason).toBe('waiting_for_agent');
  const replacement = await server.agent();
  expect((await replacement.accept()).execution_id).toBe(waiting.execution_id);
  old.succeed(execution_id, 1);
  expect(await server.executions.wait(execution_id, 1000)).toMatchObject({ status: 'succeeded' });
  await old.next('execution.settled');
});

test('what a draining agent has under way may call its own functions, and nobody else may', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent({ functions: [skill('look'), skill('think')] });
  const parent = await server.executions.start({ target: 'support.think', input: {} });
  await agent.accept();
  agent.send({ type: 'agent.drain' });
  await agent.settle();
  const outside = await server.executions.start({ target: 'support.look', input: { n: 1 } });
  // The same, called by somebody who runs elsewhere: it waits before the calls that belong here, and not in their way.
  const elsewhere = await server.agent({ agent: 'sales', functions: [skill('sell')] });
  const sale = await server.executions.start({ target: 'sales.sell', input: {} });
  await elsewhere.accept();
  const foreign = { type: 'function.call', target: 'support.look', input: { n: 3 } } as const;
  elsewhere.send({ ...foreign, request_id: 'c', parent_execution_id: sale.execution_id });
  await elsewhere.settle();
  const call = { type: 'function.call', target: 'support.look', input: { n: 2 } } as const;
  agent.send({ ...call, request_id: 'a', parent_execution_id: parent.execution_id });
  const child = await agent.accept();
  expect(child).toMatchObject({ input: { n: 2 }, parent_execution_id: parent.execution_id });
  agent.succeed(child.execution_id, 'seen');
  expect(await agent.next('reply')).toEqual({ type: 'reply', request_id: 'a', result: 'seen' });
  expect(await server.executions.get(outside.execution_id)).toMatchObject({ status: 'queued' });
  // Another instance takes new work, and what is under way goes there as well.
  const other = await server.agent({ functions: [skill('look')] });
  expect(await other.accept()).toMatchObject({ input: { n: 3 } });
  expect(await other.accept()).toMatchObject({ execution_id: outside.execution_id });
  agent.send({ ...call, request_id: 'b', parent_execution_id: parent.execution_id });
  expect(await other.accept()).toMatchObject({ input: { n: 2 } });
  expect(agent.frames.filter(({ type }) => type === 'execution.dispatch')).toEqual([]);
});

test('when the server drains, every agent is told and no new link is taken', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  server.agents.drain(5000);
  expect(await agent.next('server.drain')).toMatchObject({ deadline_ms: 5000 });
  const late = await server.dial();
  expect(await late.closed).toMatchObject({ code: 4014 });
});

test('an agent that stops reading loses its link', async () => {
  await using server = await TestServer.open({ agents: { outgoing_bytes_max: 2_000_000, congested_bytes: 1e9 } });
  const agent = await server.agent();
  agent.stopReading();
  const input = 'x'.repeat(500_000);
  let ended = false;
  void server.ends[0]?.then(() => (ended = true));
  while (server.links[0]?.state.kind === 'up' && !ended)
    await server.executions.start({ target: 'support.look', input });
  expect(server.links[0]?.state.kind).not.toBe('up');
  expect(server.agents.place('support', 'look', { instance: null, session_id: undefined })).toBeNull();
});

test('nothing new is placed on a link that is congested, until it has drained', async () => {
  await using server = await TestServer.open({ agents: { congested_bytes: 1 } });
  const agent = await server.agent();
  const input = 'x'.repeat(300_000);
  const ids = new Set<string>();
  for (let i = 0; i < 40; i++) ids.add((await server.executions.start({ target: 'support.look', input })).execution_id);
  for (let i = 0; i < 40; i++) ids.delete((await agent.accept()).execution_id);
  expect(ids.size).toBe(0);
});

test('the longest disconnected agent makes room in the list; connected ones do not', async () => {
  await using server = await TestServer.open({ agents: { agents_max: 2 } });
  const first = await server.agent({ agent: 'first' });
  await server.agent({ agent: 'second' });
  const refused = await server.dial();
  refused.register({ agent: 'third' });
  expect(await refused.closed).toMatchObject({ code: 4008 });
  await first.close();
  await server.ends[0];
  await server.agent({ agent: 'third' });
  expect(server.agents.list().map((one) => one.agent)).toEqual(['second', 'third']);
});

test('disconnect closes the links of an agent', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  expect(server.agents.disconnect('support', 'asked by an operator')).toBe(1);
  expect(await agent.closed).toMatchObject({ code: 4010, reason: 'asked by an operator' });
  expect(server.agents.disconnect('support', 'again')).toBe(0);
});

test('more links than the limit are closed with resource_exhausted', async () => {
  await using server = await TestServer.open({ agents: { links_max: 1 } });
  await server.agent();
  const second = await server.dial();
  expect(await second.closed).toMatchObject({ code: 4008 });
});

function voice() {
  return { name: 'voice', provider: 'openai', transport: 'websocket', model: 'm', voice: 'v' };
}
