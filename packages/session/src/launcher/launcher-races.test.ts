// What a launcher is asked for twice, or in the wrong moment.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import type { CallHost, HostedCall } from '../call.ts';
import { launcherOf, newAgent, stays } from './launcher.test.support.ts';

test('what agents declare is seen on one agent, however many ask at once, and asked again where that failed', async () => {
  let made = 0;
  let tries = 0;
  const { launcher } = launcherOf({
    createAgent: async () => {
      made += 1;
      await Promise.resolve();
      return newAgent();
    },
    warmUp: () => {
      tries += 1;
      if (tries === 1) throw new Error('the model is still being copied');
    },
  });
  const ask = () => Promise.allSettled(Array.from({ length: 5 }, () => launcher.probe()));
  expect((await ask()).map((one) => one.status)).toEqual(Array.from({ length: 5 }, () => 'rejected'));
  expect(made).toBe(1);
  const seen = await ask();
  expect(seen.map((one) => one.status)).toEqual(Array.from({ length: 5 }, () => 'fulfilled'));
  expect(new Set(seen.map((one) => one.status === 'fulfilled' && one.value)).size).toBe(1);
  expect(made).toBe(2);
});

test('a session that is closed before its first step makes no agent, and ends at once', async () => {
  let made = 0;
  const { launcher } = launcherOf({
    createAgent: () => {
      made += 1;
      return new Promise(() => undefined);
    },
  });
  const launching = launcher.launch();
  await launcher.stop('changed_my_mind');
  expect(await launching).toMatchObject({ status: 'ended', reason: 'changed_my_mind' });
  expect(made).toBe(0);
  expect(launcher.status).toMatchObject({ active: 0, totalAbandoned: 0 });
});

test.for(['shared', 'worker'] as const)(
  'a launcher that stopped while it was being warmed makes nothing more (%s)',
  async (isolation) => {
    let made = 0;
    const asked = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const { launcher } = launcherOf({
      isolation,
      module: new URL('file:///there/is/no/such/module.js'),
      warmAgents: 2,
      createAgent: async () => {
        made += 1;
        asked.resolve();
        await gate.promise;
        return newAgent();
      },
    });
    const starting = launcher.start();
    await asked.promise;
    await launcher.stop();
    gate.resolve();
    await starting;
    expect(made).toBe(1);
    expect(launcher.status).toMatchObject({ phase: 'stopped', warmAgents: 0 });
    expect(launcher.unready).toBe('stopped');
  },
);

/** Holds the calls of agents that do not join them. */
const nowhere: CallHost = {
  join: () => {
    throw new Error('nobody joins');
  },
};

test('a session that is launched already is not launched a second time, and after its end it can be', async () => {
  const { launcher, clock } = launcherOf({ retainMs: 60_000 });
  const first = await launcher.launchAt(nowhere, { callId: 'call' }, 'sess_1');
  await expect(launcher.launchAt(nowhere, { callId: 'call' }, 'sess_1')).rejects.toMatchObject({
    code: 'already_exists',
    message: 'session sess_1 is launched already',
  });
  expect(launcher.get('sess_1')).toBe(first);
  expect(launcher.status).toMatchObject({ active: 1, totalStarted: 1 });
  await first.close();
  const again = await launcher.launchAt(nowhere, { callId: 'call' }, 'sess_1');
  await again.active;
  // When the first one would have been forgotten.
  clock.advance(60_000);
  expect(launcher.list()).toEqual([again]);
  await launcher.stop();
  expect([first.status, again.status, launcher.status.active]).toEqual(['ended', 'ended', 0]);
});

test('a call that cannot be left fails its session, and gives its place back', async () => {
  const exchange: CallHost = {
    join: async () => ({
      session: {} as HostedCall['session'],
      ended: new Promise(() => undefined),
      leave: () => Promise.reject(new ParleyError('unavailable', 'the exchange does not answer')),
    }),
  };
  const { launcher, lines } = launcherOf({
    joinCall: async (agent, type, id, session) => {
      await agent.join(agent.createCall(type, id));
      if (id === 'long') await stays(session);
    },
  });
  const short = await launcher.launchAt(exchange, { callId: 'short' }, 'sess_1');
  await short.finished;
  expect(short.toJSON()).toMatchObject({
    status: 'failed',
    error: { code: 'unavailable', message: 'the exchange does not answer' },
  });
  const long = await launcher.launchAt(exchange, { callId: 'long' }, 'sess_2');
  await long.active;
  await long.close('enough');
  expect(long).toMatchObject({ status: 'ended', reason: 'enough' });
  expect(lines.find(({ message }) => message === 'the call could not be left')?.fields).toMatchObject({
    session_id: 'sess_2',
    code: 'unavailable',
  });
  expect(launcher.status).toMatchObject({ active: 0, totalFailed: 1, totalEnded: 1 });
  await launcher.stop();
});
