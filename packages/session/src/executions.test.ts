import { ManualClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { z as z3 } from 'zod/v3';
import { Agent } from './agent.ts';
import { serving, until } from './control-plane.test.peer.ts';

test('inputs of zod 4, zod 3 and JSON Schema are checked, and zod parses them', async () => {
  const agent = new Agent('support');
  agent.skill(
    'four',
    { input: z.object({ at: z.string().transform(Number), deep: z.boolean().default(true) }) },
    (input) => input,
  );
  agent.skill('three', { input: z3.object({ word: z3.string().trim() }) }, ({ word }) => word);
  agent.skill(
    'json',
    { input: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } },
    (input) => input,
  );
  await using rig = await serving(agent);
  const run = (name: string, input: unknown) => rig.link.result(rig.link.dispatch(name, input));
  expect(await run('four', { at: '7' })).toMatchObject({ status: 'succeeded', output: { at: 7, deep: true } });
  expect(await run('three', { word: ' hi ' })).toMatchObject({ output: 'hi' });
  expect(await run('json', { n: 3 })).toMatchObject({ output: { n: 3 } });
  expect(await run('four', { at: 7 })).toMatchObject({
    status: 'failed',
    error: {
      code: 'invalid_argument',
      message: expect.stringContaining('the input of support.four is not valid: at:'),
      details: { path: 'at' },
    },
  });
  expect(await run('three', {})).toMatchObject({ status: 'failed', error: { code: 'invalid_argument' } });
  expect(await run('json', { n: 'x' })).toMatchObject({
    error: { code: 'invalid_argument', message: 'the input of support.json is not valid: n must be integer' },
  });
  expect(rig.register.functions.map((one) => Object.keys(one.input_schema?.['properties'] as object))).toEqual([
    ['at', 'deep'],
    ['word'],
    ['n'],
  ]);
});

test('outputs that are no JSON, do not fit, or are too large fail in words', async () => {
  const agent = new Agent('support');
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const outputs: Record<string, unknown> = {
    map: { found: [new Map()] },
    nan: { n: Number.NaN },
    fn: { call: () => 1 },
    circle,
    large: 'x'.repeat(1024 * 1024),
    date: { at: new Date(0) },
    nothing: undefined,
  };
  agent.skill('give', { input: z.object({ what: z.string() }) }, ({ what }) => outputs[what]);
  agent.skill('typed', { output: z.object({ n: z.number() }) }, () => ({ n: 'one' }));
  await using rig = await serving(agent);
  const give = (what: string) => rig.link.result(rig.link.dispatch('give', { what }));
  const message = async (what: string) => (await give(what)).error?.message;
  expect(await message('map')).toBe('the output of give.found[0] is a Map, which JSON cannot say');
  expect(await message('nan')).toBe('the output of give.n is NaN, which JSON cannot say');
  expect(await message('fn')).toBe('the output of give.call is a function, which JSON cannot say');
  expect(await message('circle')).toContain('or in a circle');
  expect((await give('large')).error).toMatchObject({ code: 'resource_exhausted', retryable: false });
  expect(await give('date')).toMatchObject({ status: 'succeeded', output: { at: '1970-01-01T00:00:00.000Z' } });
  const nothing = await give('nothing');
  expect(nothing.status).toBe('succeeded');
  expect('output' in nothing).toBe(false);
  expect(await rig.link.result(rig.link.dispatch('typed', {}))).toMatchObject({
    status: 'failed',
    error: { code: 'internal' },
  });
});

test('what a function throws leaves as one error object, without its stack', async () => {
  const agent = new Agent('support');
  agent.skill('boom', {}, () => {
    throw new TypeError('no such table');
  });
  await using rig = await serving(agent);
  const result = await rig.link.result(rig.link.dispatch('boom', {}));
  expect(result).toMatchObject({
    status: 'failed',
    error: { code: 'unknown', message: 'no such table', retryable: false },
  });
  expect(JSON.stringify(result)).not.toContain('.ts:');
  expect(await rig.link.result(rig.link.dispatch('absent', {}))).toMatchObject({ error: { code: 'not_found' } });
});

test('an execution that is dispatched twice runs once, while it runs and after it ended', async () => {
  const agent = new Agent('support');
  let runs = 0;
  const gate = Promise.withResolvers<void>();
  agent.skill('once', {}, async () => {
    runs += 1;
    await gate.promise;
    return runs;
  });
  await using rig = await serving(agent);
  const execution_id = rig.link.dispatch('once', {});
  await rig.link.next('execution.accepted');
  rig.link.dispatch('once', {}, { execution_id });
  await rig.link.next('execution.accepted');
  gate.resolve();
  expect(await rig.link.next('execution.result')).toMatchObject({ output: 1 });
  rig.link.dispatch('once', {}, { execution_id });
  expect(await rig.link.next('execution.result')).toMatchObject({ execution_id, output: 1 });
  rig.link.send({ type: 'execution.settled', execution_id });
  rig.link.dispatch('once', {}, { execution_id });
  expect(await rig.link.result(rig.link.dispatch('once', {}))).toMatchObject({ output: 2 });
  const answers = rig.link.frames.filter((frame) => frame.type !== 'agent.heartbeat');
  expect(answers).toEqual([expect.objectContaining({ type: 'execution.accepted' })]);
});

test('a link that is cut in the middle of an execution is resumed, and the result is sent until it is settled', async () => {
  const agent = new Agent('support');
  const gate = Promise.withResolvers<string>();
  let runs = 0;
  agent.skill('slow', {}, () => {
    runs += 1;
    return gate.promise;
  });
  agent.skill('fast', {}, () => 'done');
  await using rig = await serving(agent);
  const running = rig.link.dispatch('slow', {});
  await rig.link.next('execution.accepted');
  const ended = rig.link.dispatch('fast', {});
  const unwanted = rig.link.dispatch('fast', {});
  await rig.link.next('execution.result', (frame) => frame.execution_id === unwanted);
  rig.link.cut();

  const second = await rig.plane.link();
  const again = await second.register({ wanted: [running, ended] });
  expect(again.instance_id).toBe(rig.register.instance_id);
  expect(again.in_flight.toSorted()).toEqual([running, ended, unwanted].toSorted());
  expect(await second.result(ended)).toMatchObject({ output: 'done' });
  second.cut();

  const third = await rig.plane.link();
  expect((await third.register()).in_flight).not.toContain(unwanted);
  gate.resolve('late');
  expect(await third.result(running)).toMatchObject({ status: 'succeeded', output: 'late' });
  await until(() => rig.handle.status.unconfirmed === 0);
  expect(runs).toBe(1);
});

test('an execution that the server no longer wants is cancelled', async () => {
  const agent = new Agent('support');
  const reason = Promise.withResolvers<unknown>();
  agent.skill('wait', {}, (_, { signal }) => {
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        reason.resolve(signal.reason);
        reject(signal.reason as Error);
      }),
    );
  });
  await using rig = await serving(agent);
  rig.link.dispatch('wait', {});
  await rig.link.next('execution.accepted');
  rig.link.cut();
  await (await rig.plane.link()).register({ wanted: [] });
  expect(await reason.promise).toMatchObject({ code: 'cancelled' });
});

test('a cancellation aborts the signal; a function that ends by itself says how, one that does not is given up', async () => {
  const clock = new ManualClock();
  const agent = new Agent('support', { clock });
  agent.skill(
    'polite',
    {},
    (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
  );
  agent.skill('deaf', {}, () => new Promise(() => undefined));
  agent.skill(
    'finishing',
    {},
    (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('kept'))),
  );
  await using rig = await serving(agent);
  const [polite, deaf, finishing] = ['polite', 'deaf', 'finishing'].map((name) => rig.link.dispatch(name, {})) as [
    string,
    string,
    string,
  ];
  for (let accepted = 0; accepted < 3; accepted += 1) await rig.link.next('execution.accepted');
  for (const execution_id of [polite, deaf, finishing])
    rig.link.send({ type: 'execution.cancel', execution_id, reason: 'the user hung up' });
  expect(await rig.link.result(polite)).toMatchObject({
    status: 'cancelled',
    error: { code: 'cancelled', message: 'the user hung up' },
  });
  expect(await rig.link.result(finishing)).toMatchObject({ status: 'succeeded', output: 'kept' });
  clock.advance(2_000);
  expect(await rig.link.result(deaf)).toMatchObject({ status: 'cancelled' });
});

test('a function that takes longer than its timeout ends as timed_out', async () => {
  const clock = new ManualClock();
  const agent = new Agent('support', { clock });
  agent.skill(
    'slow',
    { timeoutMs: 500 },
    (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  );
  await using rig = await serving(agent);
  expect(rig.register.functions[0]).toMatchObject({ timeout_ms: 500 });
  const id = rig.link.dispatch('slow', {}, { timeout_ms: 500 });
  await rig.link.next('execution.accepted');
  clock.advance(500);
  expect(await rig.link.result(id)).toMatchObject({ status: 'timed_out', error: { code: 'deadline_exceeded' } });
});

test('what has no place waits, a busy function holds up no other, and past the limit the answer is resource_exhausted', async () => {
  const agent = new Agent('support', { executionsMax: 2, executionsWaitingMax: 2 });
  const gates: (() => void)[] = [];
  const started: string[] = [];
  const body = (name: string) => () =>
    new Promise<string>((resolve) => {
      started.push(name);
      gates.push(() => resolve(name));
    });
  agent.skill('one', { maxConcurrent: 1 }, body('one'));
  agent.skill('any', {}, body('any'));
  await using rig = await serving(agent);
  expect(rig.register.capacity).toEqual({ executions: 2, sessions: 256 });
  const ids = ['one', 'one', 'any', 'any'].map((name) => rig.link.dispatch(name, {}));
  for (let accepted = 0; accepted < 4; accepted += 1) await rig.link.next('execution.accepted');
  expect(started).toEqual(['one', 'any']);
  const full = await rig.link.result(rig.link.dispatch('any', {}));
  expect(full).toMatchObject({ status: 'failed', error: { code: 'resource_exhausted', retryable: true } });
  while (gates.length > 0) {
    gates.shift()?.();
    await until(() => gates.length > 0 || rig.handle.status.executions === 0);
  }
  for (const id of ids) expect(await rig.link.result(id)).toMatchObject({ status: 'succeeded' });
  expect(started.toSorted()).toEqual(['any', 'any', 'one', 'one']);
});

test('a function calls others as its children, leaves notes, and a cancelled parent cancels its calls', async () => {
  const agent = new Agent('support');
  const find = agent.skill('find', { input: z.object({ order: z.string() }) }, ({ order }) => ({ order }));
  agent.reasoner('think', {}, async (_, context) => {
    context.note('looking', { step: 1 });
    const found = await context.call(find, { order: '42' });
    return { found, workflow: context.workflowId, session: context.sessionId };
  });
  await using rig = await serving(agent);
  const id = rig.link.dispatch('think', {}, { session_id: 'sess_1', workflow_id: 'wf_1' });
  expect(await rig.link.next('execution.note')).toEqual({
    type: 'execution.note',
    execution_id: id,
    text: 'looking',
    data: { step: 1 },
  });
  const call = await rig.link.next('function.call');
  expect(call).toMatchObject({ target: 'support.find', input: { order: '42' }, parent_execution_id: id });
  rig.link.send({ type: 'reply', request_id: call.request_id, result: { order: '42' } });
  expect(await rig.link.result(id)).toMatchObject({
    output: { found: { order: '42' }, workflow: 'wf_1', session: 'sess_1' },
  });

  const failing = rig.link.dispatch('think', {});
  const refused = await rig.link.next('function.call');
  rig.link.send({
    type: 'reply',
    request_id: refused.request_id,
    error: { code: 'permission_denied', message: 'not yours', retryable: false },
  });
  expect(await rig.link.result(failing)).toMatchObject({
    status: 'failed',
    error: { code: 'permission_denied', message: 'not yours' },
  });

  const cancelled = rig.link.dispatch('think', {});
  const open = await rig.link.next('function.call');
  rig.link.send({ type: 'execution.cancel', execution_id: cancelled, reason: 'enough' });
  expect(await rig.link.next('function.cancel')).toEqual({ type: 'function.cancel', request_id: open.request_id });
  expect(await rig.link.result(cancelled)).toMatchObject({ status: 'cancelled' });
});

test('a function that waits for one of the same agent leaves it its place, and takes none twice', async () => {
  const agent = new Agent('support', { executionsMax: 1 });
  const find = agent.skill('find', {}, () => 'found');
  agent.reasoner('think', {}, (_, context) => Promise.all([context.call(find, {}), context.call(find, {})]));
  await using rig = await serving(agent);
  for (let round = 0; round < 3; round++) {
    const parent = rig.link.dispatch('think', {});
    const calls = [await rig.link.next('function.call'), await rig.link.next('function.call')];
    for (const { request_id } of calls) {
      const { output } = await rig.link.result(rig.link.dispatch('find', {}));
      rig.link.send({ type: 'reply', request_id, result: output });
    }
    expect(await rig.link.result(parent)).toMatchObject({ output: ['found', 'found'] });
  }
});

test('a call whose answer a cut link took is asked again under the same id, after the server sent what it kept', async () => {
  const agent = new Agent('support');
  agent.reasoner('think', {}, async (_, context) => [
    await context.call('other.find'),
    await context.call('other.find'),
  ]);
  await using rig = await serving(agent);
  const id = rig.link.dispatch('think', {});
  const kept = await rig.link.next('function.call');
  rig.link.cut();
  const second = await rig.plane.link();
  const register = await second.next('agent.register');
  const terms = {
    type: 'agent.registered',
    link_id: 'link_2',
    agent_id: 'agent_1',
    heartbeat_ms: 10_000,
    lease_ms: 30_000,
    frame_bytes_max: 1 << 24,
  } as const;
  second.send({ ...terms, wanted: register.in_flight });
  second.send({ type: 'reply', request_id: kept.request_id, result: 1 });
  const lost = await second.next('function.call');
  expect(lost.request_id).not.toBe(kept.request_id);
  second.cut();
  const third = await rig.plane.link();
  third.send({ ...terms, link_id: 'link_3', wanted: (await third.next('agent.register')).in_flight });
  await third.next('agent.heartbeat');
  expect(third.frames.filter((frame) => frame.type === 'function.call')).toEqual([]);
  third.send({ type: 'agent.alive' });
  expect(await third.next('function.call')).toEqual(lost);
  third.send({ type: 'reply', request_id: lost.request_id, result: 2 });
  expect(await third.result(id)).toMatchObject({ output: [1, 2] });
});

test('another control plane is not asked again: the outcome is unknown, and the error says so', async () => {
  const agent = new Agent('support');
  agent.reasoner('think', {}, (_, context) => context.call('other.find'));
  await using rig = await serving(agent);
  const id = rig.link.dispatch('think', {});
  await rig.link.next('function.call');
  rig.link.cut();
  const second = await rig.plane.link();
  await second.register({ agent_id: 'agent_of_another' });
  expect(await second.result(id)).toMatchObject({
    status: 'failed',
    error: { code: 'unavailable', retryable: false, details: { outcome: 'unknown' } },
  });
});
