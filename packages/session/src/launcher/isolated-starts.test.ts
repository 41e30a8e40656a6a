// Isolated sessions that are hard to begin, or to end.

import { ManualClock, systemClock } from '@parley/transport';
import { expect, onTestFinished, test, vi } from 'vitest';
import { leaseSimulator } from '../local/local-model.ts';
import { launcherOf, newAgent, settled } from './launcher.test.support.ts';
import type { AgentLauncherOptions } from './options.ts';

// As it was built: a process loads the program as Node does.
const MODULE = new URL('../../dist/launcher/isolation.test.fixture.js', import.meta.url);

function isolated(options: Partial<AgentLauncherOptions> = {}) {
  const parts = launcherOf({ isolation: 'process', module: MODULE, clock: systemClock, ...options });
  onTestFinished(() => parts.launcher.stop());
  return parts;
}

test('a simulator that could not be started is started for the next session', async () => {
  vi.stubEnv('PARLEY_SIMULATOR_SCRIPT', '/there/is/no/such/script');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { launcher } = isolated();
  const failed = await launcher.launch({ callId: 'talks' });
  await failed.finished;
  expect(failed.error?.message).toBe(
    'PARLEY_SIMULATOR_SCRIPT names /there/is/no/such/script, which cannot be read: ENOENT',
  );
  vi.unstubAllEnvs();
  const next = await launcher.launch({ callId: 'talks' });
  await next.active;
  expect(next.status).toBe('active');
});

test('a launcher that stopped while it was asked for a simulator takes none', async () => {
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { launcher } = isolated({
    createAgent: async () => {
      asked.resolve();
      await gate.promise;
      return newAgent();
    },
  });
  const session = await launcher.launch({ callId: 'talks' });
  await asked.promise;
  await launcher.stop();
  expect(session).toMatchObject({ status: 'ended', reason: 'stopped' });
  gate.resolve();
  await launcher.probe();
  await settled();
  // The last one who gives it back ends it: nobody else has one.
  const lease = await leaseSimulator({});
  lease.release();
  await expect
    .poll(() =>
      fetch(lease.url).then(
        () => 'there',
        () => 'gone',
      ),
    )
    .toBe('gone');
});

test('a session that is closed before it began ends at once', async () => {
  // The time for an end never passes under this clock.
  const { launcher } = isolated({ clock: new ManualClock() });
  const session = await launcher.launch({ callId: 'stays' });
  await session.close('changed_my_mind');
  expect(session).toMatchObject({ status: 'ended', reason: 'changed_my_mind', error: null });
});
