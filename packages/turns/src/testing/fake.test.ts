import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { turnError, turnFailureOf } from '../failures.ts';
import type { AdapterUnderTest } from './case.ts';
import { FakeAgentSessionFactory } from './fake.ts';
import type { FakeReply, FakeScript } from './fake-script.ts';
import { agentRunnerSuite } from './suite.ts';

type Scripted = FakeReply & { count?: true; hangs?: true; fails?: true };

/** The script is in the prompt, as JSON; `count` asks how many prompts there were. */
function scripted(): AdapterUnderTest {
  const hanging = Promise.withResolvers<void>();
  const prompt = (reply: Scripted): string => JSON.stringify(reply);
  return {
    factory: () =>
      new FakeAgentSessionFactory({
        script: ({ prompt: text, index }) => {
          const { count, hangs, fails, ...reply } = JSON.parse(text) as Scripted;
          if (hangs) hanging.resolve();
          return {
            ...reply,
            ...(hangs && { delayMs: Number.POSITIVE_INFINITY }),
            ...(count && { text: String(index + 1) }),
            ...(fails && { error: turnError('turn_failed', 'as the script says') }),
          };
        },
      }),
    workingDirectory: tmpdir(),
    prompts: {
      say: (text) => prompt({ text }),
      count: () => prompt({ count: true }),
      sayLater: (text) => prompt({ text, delayMs: 50 }),
      hang: () => prompt({ hangs: true }),
      fail: () => prompt({ fails: true }),
      call: (name, input) => prompt({ calls: [{ name, input }], text: 'done' }),
    },
    hanging: () => hanging.promise,
    lose: (factory) => (factory as FakeAgentSessionFactory).lose(),
    [Symbol.asyncDispose]: async () => {},
  };
}

for (const { name, run } of agentRunnerSuite(async () => scripted())) {
  test(name, async () => {
    await expect(run()).resolves.toBeUndefined();
  });
}

const config = { workingDirectory: tmpdir() };

async function started(script: FakeScript) {
  const factory = new FakeAgentSessionFactory({ script });
  await factory.start();
  return { factory, runner: await factory.runner(config) };
}

test('it records what it was asked, with schemas and deadlines', async () => {
  const { factory, runner } = await started(({ outputSchema }) => (outputSchema ? '{"a":1}' : 'fine'));
  const outputSchema = { type: 'object', properties: { a: {} }, required: ['a'], additionalProperties: false };
  await runner.turn('one', { timeoutSeconds: 5, outputSchema });
  await (await factory.runner(config)).turn('two');
  expect(factory.turns).toMatchObject([
    { prompt: 'one', index: 0, timeoutSeconds: 5, outputSchema },
    { prompt: 'two', index: 0, timeoutSeconds: 600, outputSchema: undefined },
  ]);
  expect(runner.turns.map(({ prompt }) => prompt)).toEqual(['one']);
});

test('a turn that is being cleaned up still holds its runner', async () => {
  const { runner } = await started(({ prompt }) => (prompt === 'slow' ? { delayMs: 60_000, cleanUpMs: 30 } : 'ok'));
  const abort = new AbortController();
  const turn = runner.turn('slow', { signal: abort.signal });
  const ended = rejection(turn);
  await expect.poll(() => runner.turns.length).toBe(1);
  abort.abort();
  await expect(runner.turn('next')).rejects.toMatchObject({ details: { reason: 'concurrent_turn' } });
  expect(await ended).toMatchObject({ details: { reason: 'aborted' } });
  expect((await runner.turn('next')).assistantText).toBe('ok');
});

test('a scripted error of any kind is what the turn ends with', async () => {
  const error = new Error('of the script');
  const { runner } = await started(() => ({ error }));
  await expect(runner.turn('x')).rejects.toBe(error);
  expect(turnFailureOf(error)).toBeNull();
});

test('a script that never answers is a turn like any other that takes too long', async () => {
  const { runner } = await started(({ prompt }) => (prompt === 'x' ? new Promise(() => undefined) : 'fine'));
  await expect(runner.turn('x', { timeoutSeconds: 0.02 })).rejects.toMatchObject({ code: 'deadline_exceeded' });
  expect((await runner.turn('y')).assistantText).toBe('fine');
});

test('a start that fails makes a factory that is of no use, and says why', async () => {
  const factory = new FakeAgentSessionFactory({ startError: new Error('no binary') });
  await expect(factory.start()).rejects.toMatchObject({ details: { reason: 'backend_start_failed' } });
  await expect(factory.runner(config)).rejects.toMatchObject({ details: { reason: 'backend_invalid' } });
  expect(factory.starts).toBe(1);
});

test('a conversation goes on in another runner by its id, until it is disposed of', async () => {
  const { factory, runner } = await started(({ index }) => String(index));
  await runner.turn('one');
  const conversationId = runner.conversationId ?? '';
  const second = await factory.runner(config, { conversationId });
  expect((await second.turn('two')).assistantText).toBe('1');
  await second.dispose();
  await expect(factory.runner(config, { conversationId })).rejects.toMatchObject({ code: 'not_found' });
});

/** What it rejects with; listened to at once, so that it is nobody's surprise. */
function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}
