import { expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { Agent } from './agent.ts';
import { ControlPlane, memoryLog, serving } from './control-plane.test.peer.ts';
import type { FunctionRef } from './functions.ts';
import type { SessionOptions } from './session-options.ts';

test('an agent registers what was declared, runs a function, and keeps its result until it is settled', async () => {
  await using plane = await ControlPlane.listen();
  const agent = new Agent('support', { url: plane.url, key: 'k1', log: memoryLog().log });
  agent.skill(
    'find_order',
    { description: 'Finds.', input: z.object({ order: z.string(), deep: z.boolean().default(true) }) },
    (input) => ({
      found: input.order,
      deep: input.deep,
    }),
  );
  agent.session('voice', {
    provider: 'Simulator',
    transport: 'websocket',
    tools: ['find_order'],
    limits: { maxDurationMs: 5000 },
  });
  const handle = agent.start();
  const link = await plane.link();
  const register = await link.register();
  await handle.ready;
  expect(plane.headers).toEqual(['Bearer k1']);
  expect(register.agent).toBe('support');
  expect(register.sessions[0]).toMatchObject({
    name: 'voice',
    provider: 'simulator',
    responder: 'model',
    limits: { max_duration_ms: 5000 },
  });
  expect(register.functions).toMatchObject([
    { name: 'find_order', kind: 'skill', description: 'Finds.', input_schema: { type: 'object' } },
  ]);

  const id = link.dispatch('find_order', { order: '42' });
  await link.next('execution.accepted', (frame) => frame.execution_id === id);
  const result = await link.next('execution.result');
  expect(result).toMatchObject({ execution_id: id, status: 'succeeded', output: { found: '42', deep: true } });
  expect(handle.status).toMatchObject({ phase: 'serving', executions: 0, unconfirmed: 1 });
  link.send({ type: 'execution.settled', execution_id: id });
  await handle.drain();
  expect(handle.status.phase).toBe('stopped');
  expect((await link.closed).code).toBe(1000);
});

test('a handler answers turns: input, call, say', async () => {
  await using plane = await ControlPlane.listen();
  const agent = new Agent('support', { url: plane.url, log: memoryLog().log });
  const heard: unknown[] = [];
  agent.session('desk', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    heard.push(session.target, session.metadata);
    for await (const turn of session) {
      const result = await session.call<{ spoken_response: string }>('resolve_turn', { text: turn.text });
      heard.push(await session.say(result.spoken_response));
    }
  });
  const handle = agent.start();
  const link = await plane.link();
  const register = await link.register();
  expect(register.sessions[0]).toMatchObject({ name: 'desk', responder: 'handler' });
  const { session_id, log } = link.openSession('desk');
  log({ type: 'turn.started', turn_id: 'turn_1', source: 'audio' });
  log({ type: 'turn.completed', turn_id: 'turn_1', source: 'audio', text: 'Where is 42?', audio_ms: 900 });
  const call = await link.next('function.call');
  expect(call).toMatchObject({ target: 'support.resolve_turn', input: { text: 'Where is 42?' }, session_id });
  link.send({ type: 'reply', request_id: call.request_id, result: { spoken_response: 'It ships on Friday.' } });
  const say = await link.next('session.say');
  expect(say).toMatchObject({ session_id, text: 'It ships on Friday.' });
  link.send({
    type: 'reply',
    request_id: say.request_id,
    result: { interrupted: false, spoken_text: 'It ships on Friday.' },
  });
  log({ type: 'session.closing', reason: 'client_closed', by: 'client' });
  const handled = await link.next('session.handled');
  expect(handled).toEqual({ type: 'session.handled', session_id });
  expect(heard).toEqual(['support.desk', { caller: 'ada' }, { interrupted: false, spokenText: 'It ships on Friday.' }]);
  log({
    type: 'session.closed',
    reason: 'client_closed',
    duration_ms: 1,
    turns: 1,
    tool_calls: 0,
    user_audio_ms: 0,
    reply_audio_ms: 0,
  });
  await handle.drain();
});

test('mistakes are thrown where they are made', () => {
  const agent = new Agent('support');
  const simulated = { provider: 'simulator', transport: 'websocket' };
  const misspelt = { ...simulated, turnDetecton: null };
  const both = { ...simulated, client_events: [], clientEvents: [] };
  expect(() => new Agent('Support')).toThrow("an agent's name must match");
  expect(() => agent.session('voice', { provider: '', transport: '' })).toThrow('Session provider is required');
  expect(() => agent.session('voice', { provider: 'acme', transport: 'websocket' })).toThrow(
    "Unknown session provider 'acme'",
  );
  expect(() => agent.session('voice', { ...simulated, turnDetection: { type: 'server_vad', threshold: 2 } })).toThrow(
    'turn_detection.threshold must be at most 1',
  );
  expect(() => agent.session('voice', misspelt)).toThrow('turn_detecton is not a known field');
  expect(() => agent.session('voice', { ...simulated, responder: 'handler' })).toThrow(
    "has the responder 'handler' and no handler",
  );
  expect(() => agent.session('voice', both)).toThrow('session has both');
  agent.session('voice', simulated).skill('find', {}, () => 1);
  expect(() => agent.session('voice', simulated)).toThrow("agent support has a session 'voice' already");
  expect(() => agent.reasoner('find', {}, () => 1)).toThrow("agent support has a function 'find' already");
  expect(() => agent.skill('no name', {}, () => 1)).toThrow('name must match');
  expect(() => agent.skill('date', { input: z.date() }, () => 1)).toThrow('the schema has no JSON form');
  expect(() => agent.skill('broken', { input: { type: 'no such type' } }, () => 1)).toThrow(
    'input_schema is not a valid JSON Schema',
  );
  expect(() => agent.skill('late', { timeoutMs: 0 }, () => 1)).toThrow('timeout_ms must be at least 1');
  expect(() => agent.start({ executionsMax: 0 })).toThrow('executionsMax must be a whole number of at least 1');
  expect(() => agent.start({ url: 'ftp://x' })).toThrow('url must start with');
});

test('options are camelCase, and the names of the wire pass too', async () => {
  const camel = new Agent('camel').session('voice', {
    provider: 'simulator',
    transport: 'websocket',
    turnDetection: { type: 'semantic_vad', eagerness: 'low', createResponse: false },
    clientEvents: ['audio'],
    limits: { maxConcurrent: 3, idleTimeoutMs: 9_000 },
    metadata: { customerId: 7 },
  });
  const fromFile = JSON.parse(`{
    "provider": "simulator", "transport": "websocket",
    "turn_detection": { "type": "semantic_vad", "eagerness": "low", "create_response": false },
    "client_events": ["audio"], "limits": { "max_concurrent": 3, "idle_timeout_ms": 9000 },
    "metadata": { "customerId": 7 }
  }`) as SessionOptions;
  const wire = new Agent('wire').session('voice', fromFile);
  await using first = await serving(camel);
  await using second = await serving(wire);
  expect(first.register.sessions).toEqual(second.register.sessions);
  expect(first.register.sessions[0]).toMatchObject({
    turn_detection: { type: 'semantic_vad', eagerness: 'low', create_response: false, interrupt_response: true },
    client_events: ['audio'],
    limits: { max_concurrent: 3, idle_timeout_ms: 9_000 },
    metadata: { customerId: 7 },
  });
});

test('a reference carries the types of its function', async () => {
  const agent = new Agent('support');
  const find = agent.skill('find', { input: z.object({ order: z.coerce.number() }) }, async ({ order }) => ({
    order: order + 1,
  }));
  expectTypeOf(find).toEqualTypeOf<FunctionRef<{ order: unknown }, { order: number }>>();
  agent.reasoner('think', { input: z.object({ a: z.string().optional() }) }, async (input, context) => {
    expectTypeOf(input).toEqualTypeOf<{ a?: string | undefined }>();
    const found = await context.call(find, { order: '1' });
    expectTypeOf(found).toEqualTypeOf<{ order: number }>();
    const text = await context.call<string>('other.name', { any: 'thing' });
    expectTypeOf(text).toEqualTypeOf<string>();
  });
});
