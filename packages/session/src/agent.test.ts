import { expect, test } from 'vitest';
import { z } from 'zod';
import { Agent } from './agent.ts';
import { ControlPlane, memoryLog } from './control-plane.test.peer.ts';

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
