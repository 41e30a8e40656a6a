import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { launcherOf, newAgent, settled, stays } from './launcher.test.support.ts';
import { AgentLauncher } from './launcher.ts';
import type { Notice } from './vigil.ts';

const codeOf = (error: unknown): string => (error as ParleyError).code;

test('twenty starts of a slow factory run side by side', async () => {
  let making = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  const { launcher } = launcherOf({
    createAgent: async () => {
      most = Math.max(most, ++making);
      await gate.promise;
      return newAgent();
    },
  });
  const sessions = await Promise.all(Array.from({ length: 20 }, () => launcher.launch()));
  await settled();
  expect(most).toBe(20);
  gate.resolve();
  await Promise.all(sessions.map(({ active }) => active));
  expect(launcher.status).toMatchObject({ active: 20, totalStarted: 20 });
  await launcher.stop();
});

test('of fifty racing starts exactly the limit is admitted, and the others are told the limit', async () => {
  const { launcher } = launcherOf({ maxConcurrentSessions: 7 });
  const starts = await Promise.allSettled(Array.from({ length: 50 }, () => launcher.launch()));
  const refused = starts.filter((start) => start.status === 'rejected').map(({ reason }) => reason as ParleyError);
  expect(starts.length - refused.length).toBe(7);
  expect(refused[0]?.toObject()).toMatchObject({
    code: 'resource_exhausted',
    retryable: true,
    retry_after_ms: 2000,
    details: { reason: 'node_at_capacity', limit: 7, current: 7 },
  });
  expect(launcher.status).toMatchObject({ active: 7, totalRefused: 43 });
  await launcher.stop();
});

test('five racing starts of one call leave one where one is allowed, and other calls go on', async () => {
  const { launcher } = launcherOf({ maxSessionsPerCall: 1 });
  const starts = await Promise.allSettled(Array.from({ length: 5 }, () => launcher.launch({ callId: 'one' })));
  const refused = starts.filter((start) => start.status === 'rejected').map(({ reason }) => reason as ParleyError);
  expect(refused).toHaveLength(4);
  expect(refused[0]?.details).toEqual({ reason: 'call_limit', limit: 1, current: 1 });
  await expect(launcher.launch({ callId: 'other' })).resolves.toMatchObject({ callId: 'other' });
  // The place is free in the moment in which the session has ended.
  await launcher.list({ callId: 'one' })[0]?.close();
  await expect(launcher.launch({ callId: 'one' })).resolves.toMatchObject({ callId: 'one' });
  await launcher.stop();
});

test('starts that wait are admitted in their order, past those whose call is full', async () => {
  const { launcher } = launcherOf({ maxConcurrentSessions: 2, maxSessionsPerCall: 1, queueMax: 3 });
  const a = await launcher.launch({ callId: 'a' });
  const b = await launcher.launch({ callId: 'b' });
  const a2 = await launcher.launch({ callId: 'a', queue: true });
  const c = await launcher.launch({ callId: 'c', queue: true });
  const d = await launcher.launch({ callId: 'd', queue: true });
  expect([a2, c, d].map((session) => session.toJSON())).toMatchObject([
    { status: 'queued', place: 1 },
    { status: 'queued', place: 2 },
    { status: 'queued', place: 3 },
  ]);
  const full = await launcher.launch({ callId: 'e', queue: true }).catch((error: unknown) => error as ParleyError);
  expect(full).toMatchObject({ code: 'resource_exhausted', details: { queue_limit: 3, queued: 3 } });
  await b.close();
  await c.active;
  expect([a2.status, d.status]).toEqual(['queued', 'queued']);
  await a.close();
  await a2.active;
  expect(d.toJSON()).toMatchObject({ status: 'queued', place: 1 });
  await d.close('changed_my_mind');
  expect(d).toMatchObject({ status: 'ended', reason: 'changed_my_mind' });
  expect(launcher.status).toMatchObject({ active: 2, queued: 0 });
  await launcher.stop();
});

test('a start that waited too long fails, and its place in the queue is free', async () => {
  const { launcher, clock } = launcherOf({ maxConcurrentSessions: 1, queueTimeoutMs: 5_000 });
  await launcher.launch();
  const late = await launcher.launch({ queue: true });
  clock.advance(5_000);
  await late.finished;
  expect(late.toJSON()).toMatchObject({
    status: 'failed',
    error: { code: 'deadline_exceeded' },
    reason: 'queue_timeout',
  });
  expect(launcher.status.queued).toBe(0);
  await launcher.stop();
});

test('a factory that throws leaves a failed session with its words, and its place', async () => {
  const { launcher } = launcherOf({
    maxConcurrentSessions: 1,
    createAgent: () => {
      throw new ParleyError('failed_precondition', 'no voice model on this disk');
    },
  });
  const session = await launcher.launch();
  await expect(session.active).rejects.toMatchObject({ code: 'failed_precondition' });
  expect(launcher.get(session.id)?.toJSON()).toMatchObject({
    status: 'failed',
    error: { code: 'failed_precondition', message: 'no voice model on this disk' },
  });
  expect(launcher.status).toMatchObject({ active: 0, totalFailed: 1 });
});

test('a crash while joining, or in the middle of a call, ends that session and no other', async () => {
  const crash = new Map([
    ['join', Promise.withResolvers<never>()],
    ['middle', Promise.withResolvers<never>()],
  ]);
  const { launcher } = launcherOf({
    joinCall: async (_agent, _type, id, session) => {
      if (id === 'join') throw new TypeError('undefined is not a call');
      session.active();
      await (crash.get(id)?.promise ?? stays(session));
    },
  });
  const [join, middle, neighbour] = await Promise.all(
    ['join', 'middle', 'neighbour'].map((callId) => launcher.launch({ callId })),
  );
  await middle?.active;
  crash.get('middle')?.reject(new Error('the connection was torn'));
  await Promise.all([join?.finished, middle?.finished]);
  expect(join?.error).toMatchObject({ code: 'unknown', message: 'undefined is not a call' });
  expect(middle?.error?.message).toBe('the connection was torn');
  expect(neighbour?.status).toBe('active');
  await launcher.stop();
  expect(neighbour).toMatchObject({ status: 'ended', reason: 'stopped' });
});

test('an agent that never joins is given up after its time, and gives its place back', async () => {
  const { launcher, clock } = launcherOf({ startTimeoutMs: 3_000, joinCall: () => new Promise(() => undefined) });
  const session = await launcher.launch();
  clock.advance(3_000);
  await session.finished;
  expect(session).toMatchObject({ status: 'failed', reason: 'start_timeout' });
  expect(session.error?.code).toBe('deadline_exceeded');
  expect(launcher.status.active).toBe(0);
});

test('an agent that is alone in its call is warned, and then the call ends', async () => {
  const notices: Notice[] = [];
  const { launcher, clock } = launcherOf({
    agentIdleTimeoutMs: 60_000,
    onNotice: (_agent, notice) => void notices.push(notice),
  });
  const session = await launcher.launch();
  await session.active;
  clock.advance(49_999);
  await settled();
  expect(notices).toEqual([]);
  clock.advance(1);
  await settled();
  expect(notices).toEqual([{ reason: 'idle_timeout', leftMs: 10_000 }]);
  clock.advance(10_000);
  await session.finished;
  expect(session).toMatchObject({ status: 'ended', reason: 'idle_timeout' });
});

test('of a short time a warning takes the second half, and not all of it', async () => {
  const notices: Notice[] = [];
  const { launcher, clock } = launcherOf({
    agentIdleTimeoutMs: 4_000,
    warningMs: 10_000,
    onNotice: (_agent, notice) => void notices.push(notice),
  });
  await (await launcher.launch()).active;
  clock.advance(1_999);
  await settled();
  expect(notices).toEqual([]);
  clock.advance(1);
  await settled();
  expect(notices).toEqual([{ reason: 'idle_timeout', leftMs: 2_000 }]);
  await launcher.stop();
});

test('an idle timeout of 0 lets an agent be alone for ever', async () => {
  const { launcher, clock } = launcherOf({ agentIdleTimeoutMs: 0 });
  const session = await launcher.launch();
  await session.active;
  clock.advance(24 * 3_600_000);
  expect(session.status).toBe('active');
  await launcher.stop();
});

test('the longest duration is warned of, and a throwing notice does not save the session', async () => {
  const { launcher, clock, lines } = launcherOf({
    agentIdleTimeoutMs: 0,
    maxSessionDurationMs: 30_000,
    warningMs: 5_000,
    onNotice: (_agent, notice) => {
      throw new Error(`no goodbye for ${notice.reason}`);
    },
  });
  const session = await launcher.launch();
  await session.active;
  clock.advance(25_000);
  await settled();
  expect(lines.find(({ message }) => message === 'onNotice failed')?.fields).toMatchObject({
    message: 'no goodbye for max_duration',
  });
  expect(session.status).toBe('active');
  clock.advance(5_000);
  await session.finished;
  expect(session.reason).toBe('max_duration');
});

test('a session that ignores its end is given up, and says so', async () => {
  const { launcher, clock, lines } = launcherOf({
    closeMs: 1_000,
    joinCall: (_agent, _type, _id, session) => {
      session.active();
      return new Promise(() => undefined);
    },
  });
  const session = await launcher.launch();
  await session.active;
  void session.close();
  expect(session.status).toBe('closing');
  clock.advance(1_000);
  await session.finished;
  expect(session.status).toBe('ended');
  expect(lines.some(({ message }) => message.startsWith('joinCall did not end'))).toBe(true);
  expect(launcher.status).toMatchObject({ active: 0, totalEnded: 1, totalAbandoned: 1 });
});

test('a drain starts nothing, tells every session how long it has, and closes what is left at the deadline', async () => {
  const told: string[] = [];
  const goodbye = Promise.withResolvers<void>();
  const { launcher, clock } = launcherOf({
    maxConcurrentSessions: 2,
    joinCall: async (_agent, _type, id, session) => {
      session.active();
      await (id === 'polite' ? goodbye.promise : stays(session));
    },
    onNotice: (_agent, notice, { callId }) => {
      told.push(`${callId} ${notice.reason} ${notice.leftMs}`);
      if (callId === 'polite') goodbye.resolve();
    },
  });
  await launcher.start();
  const polite = await launcher.launch({ callId: 'polite' });
  const stubborn = await launcher.launch({ callId: 'stubborn' });
  const waiting = await launcher.launch({ callId: 'waiting', queue: true });
  await Promise.all([polite.active, stubborn.active]);
  expect(launcher.unready).toBe('node_at_capacity');
  const drained = launcher.drain(8_000);
  expect(launcher.unready).toBe('draining');
  await expect(launcher.launch()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  await Promise.all([polite.finished, waiting.finished]);
  expect(told.sort()).toEqual(['polite draining 8000', 'stubborn draining 8000']);
  expect(polite).toMatchObject({ status: 'ended', reason: 'task_completed' });
  expect(waiting).toMatchObject({ status: 'failed', reason: 'draining' });
  expect(stubborn.status).toBe('active');
  clock.advance(8_000);
  await drained;
  expect(stubborn).toMatchObject({ status: 'ended', reason: 'draining' });
  expect(launcher.status.phase).toBe('stopped');
});

test('warm agents are kept by configuration: equal ones share, different ones never do', async () => {
  const made: unknown[] = [];
  const used: unknown[] = [];
  const { launcher } = launcherOf({
    warmAgents: 1,
    warmConfigurations: [{ voice: 'low', speed: 1 }],
    configure: (input) => input,
    createAgent: ({ configuration, session }) => {
      made.push(session ? 'cold' : configuration);
      return Object.assign(newAgent(), { configuration });
    },
    joinCall: (agent, _type, _id, session) => {
      used.push((agent as unknown as { configuration: unknown }).configuration);
      return stays(session);
    },
  });
  await launcher.start();
  expect(launcher.status).toMatchObject({ warmedUp: true, warmAgents: 1 });
  // The same configuration, its fields in another order.
  await (await launcher.launch({ input: { speed: 1, voice: 'low' } })).active;
  expect(made).not.toContain('cold');
  await (await launcher.launch({ input: { voice: 'high' } })).active;
  expect(made.filter((one) => one === 'cold')).toHaveLength(1);
  expect(used).toEqual([{ voice: 'low', speed: 1 }, { voice: 'high' }]);
  await settled();
  // The shelves were filled again behind them.
  expect(launcher.status.warmAgents).toBe(2);
  await launcher.stop();
});

test('a warm-up that throws is told, and can be tried again', async () => {
  let tries = 0;
  const { launcher } = launcherOf({
    warmUp: () => {
      tries += 1;
      if (tries === 1) throw new Error('the model is still being copied');
    },
  });
  await expect(launcher.start()).rejects.toThrow('still being copied');
  expect(launcher.unready).toBe('starting');
  await launcher.start();
  expect(launcher.unready).toBeNull();
});

test('input is parsed by its schema before anything begins', async () => {
  const seen: unknown[] = [];
  const { launcher } = launcherOf({
    input: z.object({ order: z.string(), rush: z.boolean().default(false) }),
    joinCall: (_agent, _type, _id, session) => {
      seen.push(session.input);
      return stays(session);
    },
  });
  const refused = await launcher.launch({ input: { order: 42 } }).catch((error: unknown) => error);
  expect(codeOf(refused)).toBe('invalid_argument');
  expect(launcher.list()).toEqual([]);
  await (await launcher.launch({ input: { order: '42' } })).active;
  expect(seen).toEqual([{ order: '42', rush: false }]);
  await launcher.stop();
});

test('a start with the key of an earlier one is the earlier one', async () => {
  const { launcher } = launcherOf();
  const [first, again] = await Promise.all([
    launcher.launch({ idempotencyKey: 'k1' }),
    launcher.launch({ idempotencyKey: 'k1' }),
  ]);
  expect(again?.id).toBe(first?.id);
  expect(launcher.status.totalStarted).toBe(1);
  await launcher.stop();
});

test('a start that ended at once, and is not kept, gives its key back', async () => {
  const { launcher } = launcherOf({
    retainMax: 0,
    configure: () => {
      throw new Error('no such voice');
    },
  });
  const first = await launcher.launch({ idempotencyKey: 'k1' });
  expect(first.status).toBe('failed');
  const second = await launcher.launch({ idempotencyKey: 'k1' });
  expect(second.id).not.toBe(first.id);
});

test('a session that comes into its call while it drains is told the time that is left of it', async () => {
  const joined = Promise.withResolvers<void>();
  const notices: Notice[] = [];
  const { launcher, clock } = launcherOf({
    joinCall: async (_agent, _type, _id, session) => {
      await joined.promise;
      await stays(session);
    },
    onNotice: (_agent, notice) => void notices.push(notice),
  });
  const session = await launcher.launch();
  await settled();
  const drained = launcher.drain(8_000);
  clock.advance(3_000);
  joined.resolve();
  await session.active;
  await settled();
  expect(notices.at(-1)).toEqual({ reason: 'draining', leftMs: 5_000 });
  clock.advance(5_000);
  await drained;
  expect(session).toMatchObject({ status: 'ended', reason: 'draining' });
});

test('what ended can be read for a while, and the oldest goes first', async () => {
  const { launcher, clock } = launcherOf({ retainMs: 60_000, retainMax: 2, joinCall: () => undefined });
  const sessions = [];
  for (let at = 0; at < 3; at += 1) {
    const session = await launcher.launch();
    await session.finished;
    sessions.push(session);
  }
  expect(sessions.map(({ id }) => launcher.get(id)?.reason)).toEqual([undefined, 'task_completed', 'task_completed']);
  clock.advance(60_000);
  expect(launcher.list()).toEqual([]);
});

test.for([
  [{ callId: '  ' }, 'call_id'],
  [{ callId: '' }, 'call_id'],
  [{ callId: 'x'.repeat(129) }, 'call_id'],
  [{ callId: 5 as unknown as string }, 'call_id'],
  [{ callType: 'No Such' }, 'call_type'],
] as const)('a start of %j is refused by the name of its field', async ([request, path]) => {
  const { launcher } = launcherOf();
  await expect(launcher.launch(request)).rejects.toMatchObject({ code: 'invalid_argument', details: { path } });
});

test.for([
  [{ maxConcurrentSessions: 0 }, 'maxConcurrentSessions must be a whole number of at least 1, got 0'],
  [{ maxSessionsPerCall: -1 }, 'maxSessionsPerCall must be a whole number of at least 1, got -1'],
  [{ agentIdleTimeoutMs: -1 }, 'agentIdleTimeoutMs must be a whole number of at least 0, got -1'],
  [{ maxSessionDurationMs: 0.5 }, 'maxSessionDurationMs must be a whole number of at least 1, got 0.5'],
  [{ drainMs: 2 ** 31 }, 'drainMs must be at most 2147483647, got 2147483648'],
  [{ maxSessionDurationMs: 2 ** 31 }, 'maxSessionDurationMs must be at most 2147483647'],
  [{ isolation: 'fibre' as 'shared' }, "isolation must be 'shared', 'worker' or 'process', got fibre"],
] as const)('a launcher with %j is refused', ([options, message]) => {
  expect(() => new AgentLauncher({ createAgent: newAgent, joinCall: () => undefined, ...options })).toThrow(message);
});
