import { ManualClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { Agent } from './agent.ts';
import { ControlPlane, memoryLog, serving, until } from './control-plane.test.peer.ts';
import { linkUrl } from './settings.ts';

const quiet = { log: memoryLog().log, backoff: { minMs: 1, maxMs: 2 } };

test('a refused key, and a registration that is refused for good, stop the agent with the error', async () => {
  await using plane = await ControlPlane.listen();
  plane.refuse = 401;
  const unknown = new Agent('support', quiet).start({ url: plane.url, key: 'wrong' });
  await expect(unknown.ready).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(unknown.stopped).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(unknown.status.phase).toBe('stopped');

  plane.refuse = null;
  const wrong = new Agent('support', quiet).start({ url: plane.url });
  const link = await plane.link();
  await link.next('agent.register');
  const message = 'sessions[0].provider is unknown';
  link.send({ type: 'agent.error', error: { code: 'invalid_argument', message, retryable: false } });
  link.close(4503, message);
  await expect(wrong.stopped).rejects.toMatchObject({ code: 'invalid_argument', message });
});

test('a server that is not there yet, or closes with a retryable code, is tried again', async () => {
  const agent = new Agent('support', quiet);
  const first = await ControlPlane.listen();
  const { port } = first;
  await first[Symbol.asyncDispose]();
  const handle = agent.start({ url: `http://127.0.0.1:${port}` });
  expect(handle.status).toMatchObject({ phase: 'connecting', linkId: null });
  await using plane = await ControlPlane.listen(port);
  const busy = await plane.link();
  await busy.next('agent.register');
  busy.send({ type: 'agent.error', error: { code: 'unavailable', message: 'starting', retryable: true } });
  busy.close(4014, 'starting');
  const link = await plane.link();
  await link.register();
  await handle.ready;
  link.close(1012, 'restarting');
  const again = await plane.link();
  await again.register();
  await until(() => handle.status.linkId === again.id);
  await handle.stop();
});

test('heartbeats tell the load, and a silent server is left for another link', async () => {
  const clock = new ManualClock();
  const agent = new Agent('support', { clock, backoff: { random: () => 0 } });
  agent.skill('wait', {}, () => new Promise(() => undefined));
  await using plane = await ControlPlane.listen();
  const handle = agent.start({ url: plane.url, log: memoryLog().log });
  const link = await plane.link();
  await link.register({ heartbeat_ms: 100, lease_ms: 250 });
  await handle.ready;
  await link.next('agent.heartbeat');
  link.dispatch('wait', {});
  await link.next('execution.accepted');
  clock.advance(100);
  expect(await link.next('agent.heartbeat')).toMatchObject({ load: { executions: 1, sessions: 0 } });
  clock.advance(200);
  expect((await link.closed).code).toBe(1006);
  const second = await plane.link();
  expect((await second.register()).in_flight).toHaveLength(1);
  void handle.stop();
  await handle.stop();
});

test('a drained agent says so, finishes what runs, and closes', async () => {
  const agent = new Agent('support');
  const gate = Promise.withResolvers<string>();
  agent.skill('slow', {}, () => gate.promise);
  agent.session('desk', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    await session.input();
  });
  await using rig = await serving(agent);
  const id = rig.link.dispatch('slow', {});
  const { log } = rig.link.openSession('desk');
  await rig.link.next('execution.accepted');
  const drained = rig.handle.drain();
  await rig.link.next('agent.drain');
  expect(rig.handle.status).toMatchObject({ phase: 'draining', executions: 1, sessions: 1 });
  gate.resolve('finished');
  expect(await rig.link.result(id)).toMatchObject({ output: 'finished' });
  log({ type: 'turn.completed', turn_id: 'turn_1', source: 'text', text: 'bye' });
  await rig.link.next('session.handled');
  await drained;
  expect(await rig.link.closed).toMatchObject({ code: 1000 });
});

test('a drain that takes too long becomes a stop, and what ran is reported as cancelled', async () => {
  const clock = new ManualClock();
  const agent = new Agent('support', { clock, drainMs: 1_000 });
  agent.skill(
    'endless',
    {},
    (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  );
  agent.session('desk', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    await session.input();
  });
  await using rig = await serving(agent);
  const id = rig.link.dispatch('endless', {});
  rig.link.openSession('desk');
  await rig.link.next('execution.accepted');
  await until(() => rig.handle.status.sessions === 1);
  const drained = rig.handle.drain();
  clock.advance(1_000);
  expect(await rig.link.result(id)).toMatchObject({ status: 'cancelled', error: { code: 'unavailable' } });
  expect(await rig.link.next('session.handled')).toMatchObject({ error: { code: 'unavailable' } });
  await drained;
});

test('a server that drains is left for another link first; old work ends on the old one', async () => {
  const agent = new Agent('support');
  const gate = Promise.withResolvers<string>();
  agent.skill('slow', {}, () => gate.promise);
  agent.skill('fast', {}, () => 'new');
  await using rig = await serving(agent);
  const old = rig.link.dispatch('slow', {});
  await rig.link.next('execution.accepted');
  rig.link.send({ type: 'server.drain', deadline_ms: 30_000 });
  const next = await rig.plane.link();
  expect((await next.register()).in_flight).toEqual([old]);
  expect(await next.result(next.dispatch('fast', {}))).toMatchObject({ output: 'new' });
  gate.resolve('old');
  expect(await rig.link.result(old)).toMatchObject({ output: 'old' });
  expect(await rig.link.closed).toMatchObject({ code: 1000, reason: 'replaced' });
  expect(rig.handle.status).toMatchObject({ phase: 'serving', linkId: next.id });
});

test('a server that closes the old link when the next one registers takes the work over', async () => {
  const agent = new Agent('support');
  const gate = Promise.withResolvers<string>();
  agent.skill('slow', {}, () => gate.promise);
  await using rig = await serving(agent);
  const id = rig.link.dispatch('slow', {});
  await rig.link.next('execution.accepted');
  rig.link.send({ type: 'server.drain', deadline_ms: 30_000 });
  const next = await rig.plane.link();
  rig.link.close(4510, 'registered again');
  await rig.link.closed;
  await next.register();
  gate.resolve('moved');
  expect(await next.result(id)).toMatchObject({ output: 'moved' });
});

test('frames that this version does not know are skipped', async () => {
  const { log, entries } = memoryLog();
  const agent = new Agent('support');
  agent.skill('ping', {}, () => 'pong');
  await using rig = await serving(agent, { log });
  rig.link.raw('{"type":"agent.weather","sky":"blue"}');
  rig.link.raw('{"type":"execution.dispatch"}');
  expect(await rig.link.result(rig.link.dispatch('ping', {}))).toMatchObject({ output: 'pong' });
  expect(entries.filter((entry) => entry.includes('a frame was skipped'))).toHaveLength(2);
});

test('too many requests without an answer are refused, and so is a full outbox', async () => {
  const agent = new Agent('support', { requestsMax: 2, outboxFramesMax: 1 });
  agent.reasoner('many', {}, async (_, context) => {
    const calls = [1, 2, 3].map(() => context.call('other.one', {}, { signal: AbortSignal.abort() }).catch(() => 0));
    await Promise.all(calls);
    await Promise.all([1, 2, 3].map(() => context.call('other.one')));
  });
  await using rig = await serving(agent);
  const id = rig.link.dispatch('many', {});
  expect(await rig.link.result(id)).toMatchObject({
    status: 'failed',
    error: { code: 'resource_exhausted', details: { limit: 2 } },
  });
});

test('the address of the agent link is made of any address of the control plane', () => {
  expect(linkUrl('http://127.0.0.1:7700')).toBe('ws://127.0.0.1:7700/api/v1/agent-link');
  expect(linkUrl('https://parley.example/')).toBe('wss://parley.example/api/v1/agent-link');
  expect(linkUrl('wss://parley.example/other/link')).toBe('wss://parley.example/other/link');
  expect(() => linkUrl('ftp://x')).toThrow('url must start with ws://, wss://, http:// or https://, got ftp:');
  expect(() => linkUrl('127.0.0.1:7700')).toThrow('url must start with');
  expect(() => linkUrl('ws://u:secret@x')).toThrow('give the key as `key`');
});

test('a key and an address come from the environment when they are not given', async () => {
  await using plane = await ControlPlane.listen();
  process.env['PARLEY_URL'] = `http://127.0.0.1:${plane.port}`;
  process.env['PARLEY_KEY'] = 'from_env';
  try {
    const handle = new Agent('support', quiet).start();
    await (await plane.link()).register();
    await handle.ready;
    expect(plane.headers).toEqual(['Bearer from_env']);
    await handle.stop();
  } finally {
    delete process.env['PARLEY_URL'];
    delete process.env['PARLEY_KEY'];
  }
});
