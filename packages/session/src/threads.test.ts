import type { AgentFrameOf } from '@parley/core';
import { systemClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { Agent } from './agent.ts';
import type { Context } from './context.ts';
import { memoryLog, serving } from './control-plane.test.peer.ts';
import type { LogLevel } from './log.ts';
import { Threads } from './threads.ts';

const worker = new URL('./threads.test.fixture.ts', import.meta.url);
const Milliseconds = z.object({ ms: z.number().int() });

function fixture(...names: string[]): Agent {
  const agent = new Agent('support');
  for (const name of names) agent.skill(name, { worker });
  return agent;
}

const noted = (execution_id: string) => (frame: AgentFrameOf<'execution.note'>) => frame.execution_id === execution_id;

test('a function in a thread blocks it, and neither the link nor another function', async () => {
  const agent = new Agent('support');
  agent.skill('block', { worker, input: Milliseconds });
  agent.skill('quick', {}, () => 'here');
  await using rig = await serving(agent);
  const blocked = rig.link.dispatch('block', { ms: 60_000 });
  await rig.link.next('execution.note', noted(blocked));
  expect(await rig.link.result(rig.link.dispatch('quick', {}))).toMatchObject({ output: 'here' });
  // The author's work cannot be asked to stop; its thread can be ended.
  rig.link.send({ type: 'execution.cancel', execution_id: blocked, reason: 'not needed' });
  expect(await rig.link.result(blocked)).toMatchObject({ status: 'cancelled', error: { message: 'not needed' } });
  expect(await rig.link.result(rig.link.dispatch('block', { ms: 0 }))).toMatchObject({ status: 'succeeded' });
});

test('input and output are cloned, parsed before and checked after, and the default export is the body', async () => {
  const agent = new Agent('support');
  const year = agent.skill('year', {
    worker,
    input: z.object({ at: z.string().transform((text) => new Date(text)) }),
    output: z.object({ year: z.number() }),
  });
  agent.skill('block', { worker, input: Milliseconds, output: z.object({ ms: z.number() }) });
  agent.skill('map', { worker });
  agent.skill('uncloneable', { worker });
  agent.skill('strange', { worker, input: z.object({}).transform(() => ({ call: () => 1 })) });
  await using rig = await serving(agent);
  const run = (name: string, input: unknown) => rig.link.result(rig.link.dispatch(name, input));
  expect(year.target).toBe('support.year');
  expect(await run('year', { at: '2024-02-29T00:00:00Z' })).toMatchObject({ output: { year: 2024 } });
  expect(await run('year', { at: 7 })).toMatchObject({ error: { code: 'invalid_argument', details: { path: 'at' } } });
  expect(await run('block', { ms: 0 })).toMatchObject({ status: 'failed', error: { code: 'internal' } });
  expect((await run('map', {})).error?.message).toBe('the output of map.found is a Map, which JSON cannot say');
  expect((await run('uncloneable', {})).error?.message).toContain('could not be cloned');
  expect((await run('strange', {})).error?.message).toContain('the input of strange cannot be given to a thread');
});

test('what a function throws in a thread is the error of its execution, in the same words', async () => {
  await using rig = await serving(fixture('refuse', 'fail'));
  expect(await rig.link.result(rig.link.dispatch('refuse', {}))).toMatchObject({
    error: { code: 'failed_precondition', message: 'no kettle here', details: { kettle: 7 } },
  });
  const failed = await rig.link.result(rig.link.dispatch('fail', {}));
  expect(failed).toMatchObject({ status: 'failed', error: { code: 'unknown', message: 'the kettle is empty' } });
  expect(JSON.stringify(failed)).not.toContain('fixture');
});

test('a thread that ends takes its own execution with it and no other', async () => {
  await using rig = await serving(fixture('patient', 'exit', 'crash', 'hoard'), { threadsMax: 4, threadHeapMb: 32 });
  const other = rig.link.dispatch('patient', {});
  await rig.link.next('execution.note', noted(other));
  const message = async (name: string) => (await rig.link.result(rig.link.dispatch(name, {}))).error?.message;
  expect(await message('exit')).toBe('the thread of exit ended with code 3 before it answered');
  expect(await message('crash')).toBe('the thread of crash ended: out of the blue');
  expect(await message('hoard')).toContain('the thread of hoard ended: ');
  const ended = rig.link.frames.filter((frame) => frame.type === 'execution.result' && frame.execution_id === other);
  expect(ended).toEqual([]);
  rig.link.send({ type: 'execution.cancel', execution_id: other, reason: 'enough' });
  expect(await rig.link.result(other)).toMatchObject({ status: 'cancelled' });
});

test('a function in a thread is told to stop, says what it does, and its thread is used again', async () => {
  const lines: string[] = [];
  const at = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const agent = fixture('patient', 'block');
  await using rig = await serving(agent, { threadsMax: 1, log });
  const first = rig.link.dispatch('block', { ms: 0 });
  const { data } = await rig.link.next('execution.note', noted(first));
  const execution_id = rig.link.dispatch('patient', {});
  await rig.link.next('execution.note', noted(execution_id));
  rig.link.send({ type: 'execution.cancel', execution_id, reason: 'enough' });
  expect(await rig.link.result(execution_id)).toMatchObject({ status: 'cancelled', error: { message: 'enough' } });
  expect(lines.find((line) => line.startsWith('info told to stop'))).toContain('"why":"enough"');
  expect(await rig.link.result(rig.link.dispatch('block', { ms: 0 }))).toMatchObject({ output: data });
});

test('threads are bounded: a function waits for a place, and can be cancelled there', async () => {
  await using rig = await serving(fixture('block'), { threadsMax: 1 });
  const running = rig.link.dispatch('block', { ms: 500 });
  await rig.link.next('execution.note', noted(running));
  const cancelled = rig.link.dispatch('block', { ms: 60_000 });
  const next = rig.link.dispatch('block', { ms: 0 });
  rig.link.send({ type: 'execution.cancel', execution_id: cancelled, reason: 'not needed' });
  expect(await rig.link.result(cancelled)).toMatchObject({ status: 'cancelled' });
  const { output } = await rig.link.result(running);
  expect(await rig.link.result(next)).toMatchObject({ output });
});

test('a function in a thread calls others, and holds no place while it waits', async () => {
  const agent = fixture('caller', 'block', 'carelessCaller');
  await using rig = await serving(agent, { threadsMax: 1 });
  const execution_id = rig.link.dispatch('caller', {});
  const call = await rig.link.next('function.call');
  expect(call).toMatchObject({ target: 'support.answer', input: { n: 1 }, parent_execution_id: execution_id });
  expect(await rig.link.result(rig.link.dispatch('block', { ms: 0 }))).toMatchObject({ status: 'succeeded' });
  rig.link.send({ type: 'reply', request_id: call.request_id, result: 42 });
  expect(await rig.link.result(execution_id)).toMatchObject({
    output: { answer: 42, ids: [execution_id, expect.any(String)] },
  });

  const careless = rig.link.dispatch('carelessCaller', {});
  const given = await rig.link.next('function.call');
  expect(await rig.link.next('function.cancel')).toMatchObject({ request_id: given.request_id });
  expect(await rig.link.result(careless)).toMatchObject({ output: { early: 'not needed', later: 'changed my mind' } });
});

test('a module that is not there, or has no function, is said at once or when it is needed', async () => {
  const agent = new Agent('support');
  const absent = new URL('./absent.ts', import.meta.url);
  expect(() => agent.skill('a', { worker: absent })).toThrow('the worker of support.a is not there: ');
  expect(() => agent.skill('a', { worker: new URL('https://example.com/a.js') })).toThrow(
    'must be a file: URL, got https:',
  );
  expect(() => agent.skill('a', {} as { worker: URL })).toThrow("function 'a' needs a body");
  agent.skill('none', { worker: new URL('./thread-messages.ts', import.meta.url) });
  await using rig = await serving(agent);
  expect(await rig.link.result(rig.link.dispatch('none', {}))).toMatchObject({
    error: {
      code: 'failed_precondition',
      message: "the worker of 'none' exports no function 'none' and no default one",
    },
  });
});

test('an agent that stops ends its threads, whatever they do', async () => {
  const rig = await serving(fixture('block'), { stopMs: 100, cancelMs: 60_000 });
  const blocked = rig.link.dispatch('block', { ms: 600_000 });
  await rig.link.next('execution.note', noted(blocked));
  await rig.handle.stop();
  expect(rig.handle.status.phase).toBe('stopped');
  await rig[Symbol.asyncDispose]();

  const { log } = memoryLog();
  const threads = new Threads({ threadsMax: 2, threadHeapMb: 64, cancelMs: 60_000 }, systemClock, log);
  const began = Promise.withResolvers<void>();
  const context = { signal: new AbortController().signal, note: () => began.resolve(), log } as unknown as Context;
  const run = threads.run({ module: worker, name: 'block', input: { ms: 600_000 }, context });
  await began.promise;
  expect(threads.size).toBe(1);
  threads.close();
  await expect(run).rejects.toMatchObject({ code: 'unavailable', message: 'the agent has stopped' });
  expect(threads.size).toBe(0);
  await expect(threads.run({ module: worker, name: 'fail', input: {}, context })).rejects.toThrow(
    'the agent has stopped',
  );
});
