// A launcher as an agent of a control plane, which is an honest peer at the other end of a real WebSocket.

import { expect, onTestFinished, test } from 'vitest';
import { Agent } from '../agent.ts';
import { ControlPlane } from '../control-plane.test.peer.ts';
import { connectLauncher } from './control-plane.ts';
import { launcherOf } from './launcher.test.support.ts';
import type { AgentLauncherOptions } from './options.ts';

async function connected(options: Partial<AgentLauncherOptions> = {}) {
  const plane = await ControlPlane.listen();
  const parts = launcherOf({
    createAgent: () =>
      new Agent('desk').session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
        for await (const turn of session) await session.say(`You said: ${turn.text}`);
      }),
    joinCall: async (agent, type, id) => {
      await using _call = await agent.join(agent.createCall(type, id));
      await agent.finish();
    },
    maxConcurrentSessions: 2,
    ...options,
  });
  const handle = await connectLauncher(parts.launcher, { url: plane.url });
  const link = await plane.link();
  const register = await link.register();
  await handle.ready;
  onTestFinished(async () => {
    void handle.stop().catch(() => undefined);
    await handle.stop().catch(() => undefined);
    await plane[Symbol.asyncDispose]();
  });
  return { ...parts, handle, link, register };
}

test('it registers what its agents declare, with its capacity, and reports its load', async () => {
  const { link, register, launcher } = await connected();
  expect(register).toMatchObject({ agent: 'desk', capacity: { sessions: 2 }, sessions: [{ name: 'voice' }] });
  // The first heartbeat follows the registration.
  expect((await link.next('agent.heartbeat')).load.sessions).toBe(0);
  const { session_id } = link.openSession('voice');
  await expect.poll(() => launcher.get(session_id)?.status).toBe('active');
  expect(launcher.status).toMatchObject({ active: 1, totalStarted: 1 });
});

test('a session that was placed here is a launch: its handler answers, and its end ends the launch', async () => {
  const { link, launcher } = await connected();
  const { session_id, log } = link.openSession('voice');
  log({ type: 'turn.completed', turn_id: 'turn_1', source: 'audio', text: 'hello' });
  const say = await link.next('session.say');
  expect(say).toMatchObject({ session_id, text: 'You said: hello' });
  link.send({ type: 'reply', request_id: say.request_id, result: { interrupted: false, spoken_text: say.text } });
  log({
    type: 'session.closed',
    reason: 'client_left',
    duration_ms: 1,
    turns: 1,
    tool_calls: 0,
    user_audio_ms: 0,
    reply_audio_ms: 0,
  });
  await expect.poll(() => launcher.get(session_id)?.status).toBe('ended');
  expect(launcher.get(session_id)?.reason).toBe('client_left');
});

test('a session that was placed over the limit is handed back with the limit', async () => {
  const { link, launcher } = await connected();
  // Two that were started over HTTP hold all the places there are.
  await Promise.all([launcher.launch({ callId: 'a' }), launcher.launch({ callId: 'b' })]);
  const { session_id } = link.openSession('voice');
  const handled = await link.next('session.handled', (frame) => frame.session_id === session_id);
  expect(handled.error).toMatchObject({ code: 'resource_exhausted', details: { limit: 2, current: 2 } });
});

test('a joinCall that throws is told to the control plane with its words', async () => {
  const { link } = await connected({
    joinCall: () => {
      throw new Error('the desk is closed');
    },
  });
  const { session_id } = link.openSession('voice');
  const handled = await link.next('session.handled', (frame) => frame.session_id === session_id);
  expect(handled.error?.message).toBe('the desk is closed');
});

test('a drain is told to the control plane, and ends what was placed here with its reason', async () => {
  const { link, launcher, handle, clock } = await connected();
  const { session_id } = link.openSession('voice');
  await expect.poll(() => launcher.get(session_id)?.status).toBe('active');
  void handle.drain();
  await link.next('agent.drain');
  const drained = launcher.drain(5_000);
  clock.advance(5_000);
  const close = await link.next('session.close');
  expect(close).toMatchObject({ session_id, reason: 'draining' });
  link.send({ type: 'reply', request_id: close.request_id, result: {} });
  await drained;
});
