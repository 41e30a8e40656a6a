import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { turnError } from './failures.ts';
import { type ResumeOptions, runTurnWithResume } from './resume.ts';
import { FakeAgentSessionFactory } from './testing/fake.ts';
import type { FakeReply } from './testing/fake-script.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A pile of bricks that is complete at three. Each reply says how many the turn lays, or how it fails. */
async function wall(replies: ({ lays?: number } & FakeReply)[], start = 0) {
  let bricks = start;
  let turn = 0;
  const factory = new FakeAgentSessionFactory({
    script: () => {
      const { lays = 0, ...reply } = replies[turn++] ?? {};
      bricks += lays;
      return { text: 'laid', ...reply };
    },
  });
  await factory.start();
  const runner = await factory.runner({ workingDirectory: tmpdir() });
  const build = (more: Partial<ResumeOptions<number>> = {}) =>
    runTurnWithResume<number>(runner, {
      action: 'building the wall',
      initialPrompt: 'Lay three bricks.',
      resumePrompt: (found) => `Go on from ${found}.`,
      inspect: () => bricks,
      isComplete: (found) => found >= 3,
      madeProgress: (before, after) => after > before,
      ...more,
    });
  return { factory, runner, build };
}

const failing = (): Error => turnError('turn_failed', 'the provider is busy', { code: 'unavailable' });

test('what is there already needs no turn', async () => {
  const { build, factory } = await wall([], 3);
  expect(await build()).toMatchObject({ ok: true, attempts: 0, errors: [], artifacts: 3, message: '' });
  expect(factory.turns).toEqual([]);
});

test('one turn that does it all is enough', async () => {
  const { build, factory } = await wall([{ lays: 3 }]);
  expect(await build()).toMatchObject({ ok: true, attempts: 1, lastResult: { assistantText: 'laid' } });
  expect(factory.turns.map(({ prompt }) => prompt)).toEqual(['Lay three bricks.']);
});

test('a turn that failed is no failure when the artifacts are there', async () => {
  const { build } = await wall([{ lays: 3, error: failing() }]);
  expect(await build()).toMatchObject({ ok: true, attempts: 1, errors: [{ code: 'unavailable' }] });
});

test('progress goes on at once, in the same conversation, with the other prompt', async () => {
  const { build, factory, runner } = await wall([{ lays: 1 }, { lays: 1, error: failing() }, { lays: 1 }]);
  expect(await build()).toMatchObject({ ok: true, attempts: 3 });
  expect(factory.turns.map(({ prompt }) => prompt)).toEqual(['Lay three bricks.', 'Go on from 1.', 'Go on from 2.']);
  expect(runner.turns).toHaveLength(3);
  expect(vi.getTimerCount()).toBe(0);
});

test('without progress it pauses longer each time, and gives up without a last pause', async () => {
  const { build } = await wall([{}, {}, { error: failing() }]);
  const begin = Date.now();
  const result = build({ policy: { backoffMs: 1000 } });
  await vi.runAllTimersAsync();
  expect(await result).toMatchObject({
    ok: false,
    gaveUp: 'no_progress',
    attempts: 3,
    message:
      'the agent made no progress building the wall in 3 turns in a row; the last turn failed: unavailable: the provider is busy',
  });
  expect(Date.now() - begin).toBe(3000);
});

test('progress resets the count and the pause', async () => {
  const { build } = await wall([{}, { lays: 1 }, {}, { lays: 1 }, {}, { lays: 1 }]);
  const begin = Date.now();
  const result = build({ policy: { noProgressMax: 2, backoffMs: 1000 } });
  await vi.runAllTimersAsync();
  expect(await result).toMatchObject({ ok: true, attempts: 6 });
  expect(Date.now() - begin).toBe(3000);
});

test('the pause has a limit', async () => {
  const { build } = await wall([]);
  const begin = Date.now();
  const result = build({ policy: { noProgressMax: 6, backoffMs: 1000, backoffMaxMs: 3000 } });
  await vi.runAllTimersAsync();
  await result;
  expect(Date.now() - begin).toBe(1000 + 2000 + 3000 + 3000 + 3000);
});

test('there is an end to turns, whatever progress they make', async () => {
  const { build } = await wall(Array.from({ length: 20 }, () => ({ lays: 0.1 })));
  expect(await build({ policy: { attemptsMax: 5 } })).toMatchObject({ ok: false, gaveUp: 'attempts', attempts: 5 });
});

test('a backend that is gone ends it at once', async () => {
  const { build } = await wall([{ losesBackend: true }]);
  const result = await build();
  expect(result).toMatchObject({
    ok: false,
    gaveUp: 'not_retryable',
    attempts: 1,
    errors: [{ details: { reason: 'backend_invalid' } }],
  });
  expect(result.message).toMatch(/^building the wall cannot go on after 1 turn; the last turn failed: unavailable: /);
});

test('an error that no further turn can help ends it at once', async () => {
  const refused = turnError('turn_failed', 'the key is refused', { code: 'unauthenticated', retryable: false });
  const { build } = await wall([{ error: refused }]);
  expect(await build()).toMatchObject({ ok: false, gaveUp: 'not_retryable', attempts: 1 });
});

test('an abort wakes the pause', async () => {
  const { build, factory } = await wall([]);
  const abort = new AbortController();
  const result = build({ signal: abort.signal });
  const ended = rejection(result);
  await vi.advanceTimersByTimeAsync(500);
  abort.abort();
  expect(await ended).toMatchObject({ code: 'cancelled', details: { reason: 'aborted' } });
  expect(factory.turns).toHaveLength(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('an abort interrupts the turn', async () => {
  const { build } = await wall([{ delayMs: Number.POSITIVE_INFINITY }]);
  const abort = new AbortController();
  const result = build({ signal: abort.signal });
  const ended = rejection(result);
  await vi.advanceTimersByTimeAsync(10);
  abort.abort();
  expect(await ended).toMatchObject({ code: 'cancelled' });
});

test('what the callbacks throw is not a failed turn', async () => {
  const broken = new Error('the disk is gone');
  const { build } = await wall([{ lays: 1 }]);
  await expect(build({ inspect: () => Promise.reject(broken) })).rejects.toBe(broken);
  await expect(
    build({
      onEvent: () => {
        throw broken;
      },
    }),
  ).rejects.toBe(broken);
});

test('each turn has the deadline of the policy', async () => {
  const { build, factory } = await wall([{ lays: 3 }]);
  await build({ policy: { turnTimeoutSeconds: 42 } });
  expect(factory.turns[0]?.timeoutSeconds).toBe(42);
});

test.each([
  { noProgressMax: Number.NaN },
  { noProgressMax: 0 },
  { attemptsMax: Number.POSITIVE_INFINITY },
  { backoffMs: -1 },
  { backoffMaxMs: 2 ** 31 },
])('a policy without an end is refused before anything is looked at: %o', async (policy) => {
  const { build, factory } = await wall([]);
  const inspect = vi.fn<() => number>(() => 0);
  await expect(build({ policy, inspect })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(`policy.${Object.keys(policy)[0]}`) as string,
  });
  expect(inspect).not.toHaveBeenCalled();
  expect(factory.turns).toEqual([]);
});

/** What it rejects with; listened to at once, so that it is nobody's surprise. */
function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}
