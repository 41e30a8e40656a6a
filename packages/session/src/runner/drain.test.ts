// A served program that is told to leave while calls are live: a real process, real signals, real clients.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ControlPlane } from '../control-plane.test.peer.ts';
import { ask, Caller, Program } from './drain.test.support.ts';

test('SIGTERM: unready at once, nothing new, a goodbye, and at the deadline the reason', async () => {
  const program = new Program({ launcher: { drainMs: 4_000, closeMs: 500, maxConcurrentSessions: 2 } });
  const url = await program.url();
  const polite = await Caller.of(url, 'polite');
  const stays = await Caller.of(url, 'stays');
  const waits = await ask(url, 'POST', '/sessions', { call_id: 'waits', queue: true });
  expect(waits.status).toBe(202);

  program.child.kill('SIGTERM');
  await expect.poll(() => program.lines('draining').length).toBe(1);
  const ready = await ask(url, 'GET', '/ready');
  expect(ready).toMatchObject({ status: 503, body: { ready: false, reason: 'draining', draining: true } });
  expect((await ask(url, 'GET', '/live')).status).toBe(200);
  for (const body of [{ call_id: 'new' }, { call_id: 'new', queue: true }]) {
    expect(await ask(url, 'POST', '/sessions', body)).toMatchObject({
      status: 503,
      body: { error: { code: 'unavailable' } },
    });
  }
  const waited = await ask(url, 'GET', `/sessions/${String(waits.body['session_id'])}`);
  expect(waited.body).toMatchObject({ status: 'failed', reason: 'draining' });
  expect(program.lines('noticed').map(({ call_id, reason, left_ms }) => [call_id, reason, left_ms])).toEqual([
    ['polite', 'draining', 4_000],
    ['stays', 'draining', 4_000],
  ]);

  // One uses its time for a goodbye; the other is still served.
  expect(await polite.closed).toEqual({ code: 1000, reason: 'goodbye' });
  expect(polite.heard).toEqual(['Goodbye.']);
  await stays.talks('one more thing');
  expect((await ask(url, 'GET', `/sessions/${stays.sessionId}`)).body['status']).toBe('active');

  expect(await stays.closed).toEqual({ code: 1000, reason: 'draining' });
  expect(await program.ended).toEqual([0, null]);
  const ended = program.lines('session ended').map(({ session_id, reason }) => [session_id, reason]);
  expect(ended).toContainEqual([polite.sessionId, 'goodbye']);
  expect(ended).toContainEqual([stays.sessionId, 'draining']);
  expect(program.lines('session starting')).toHaveLength(2);
});

test('a second signal closes the calls now', async () => {
  const program = new Program({ launcher: { drainMs: 3_600_000 } });
  const caller = await Caller.of(await program.url(), 'stays');
  program.child.kill('SIGINT');
  await expect.poll(() => program.lines('noticed').length).toBe(1);
  program.child.kill('SIGTERM');
  expect(await caller.closed).toEqual({ code: 1000, reason: 'stopped' });
  expect(await program.ended).toEqual([0, null]);
});

test('a third signal waits for nothing, and the exit code says which it was', async () => {
  const program = new Program({ launcher: { drainMs: 3_600_000, closeMs: 3_600_000 } });
  const caller = await Caller.of(await program.url(), 'stubborn');
  program.child.kill('SIGTERM');
  await expect.poll(() => program.lines('noticed').length).toBe(1);
  program.child.kill('SIGTERM');
  expect(await caller.closed).toEqual({ code: 1000, reason: 'stopped' });
  program.child.kill('SIGTERM');
  expect(await program.ended).toEqual([143, null]);
});

test('a joinCall that never ends, and holds a timer, does not hold the program', async () => {
  const program = new Program({ launcher: { drainMs: 50, closeMs: 50 } });
  const caller = await Caller.of(await program.url(), 'stubborn');
  program.child.kill('SIGTERM');
  expect(await caller.closed).toEqual({ code: 1000, reason: 'draining' });
  expect(await program.ended).toEqual([0, null]);
  expect(program.lines('joinCall did not end when it was told to; it is given up')).toHaveLength(1);
  expect(program.lines('what was given up holds the process; it is ended')).toHaveLength(1);
});

test('a client that reads nothing does not hold the program', async () => {
  const program = new Program({ launcher: { drainMs: 50, closeMs: 50 } });
  const caller = await Caller.of(await program.url(), 'stays');
  caller.socket.pause();
  program.child.kill('SIGTERM');
  expect(await program.ended).toEqual([0, null]);
});

test('a signal while it warms up is obeyed', async () => {
  const program = new Program({ warms: 'never' });
  const url = await program.url();
  await expect.poll(() => program.lines('warming up').length).toBe(1);
  expect(await ask(url, 'GET', '/ready')).toMatchObject({ status: 503, body: { reason: 'starting' } });
  program.child.kill('SIGTERM');
  expect(await program.ended).toEqual([0, null]);
});

test('a signal for the whole group reaches sessions in processes as a drain, and no session is lost to it', async () => {
  const program = new Program({ launcher: { drainMs: 3_600_000, isolation: 'process' } });
  const url = await program.url();
  const polite = await Caller.of(url, 'polite');
  const stays = await Caller.of(url, 'stays');
  // As Ctrl-C at a terminal does it.
  process.kill(-(program.child.pid as number), 'SIGINT');
  expect(await polite.closed).toEqual({ code: 1000, reason: 'goodbye' });
  await stays.talks('still there');
  stays.socket.close(1000);
  expect(await program.ended).toEqual([0, null]);
});

test('the control plane is told of a drain before anything, and why what it placed here ended', async () => {
  await using plane = await ControlPlane.listen();
  const program = new Program(
    { launcher: { drainMs: 400, closeMs: 200 }, handler: true },
    {
      PARLEY_URL: plane.url,
    },
  );
  const url = await program.url();
  const link = await plane.link();
  await link.register();
  await expect.poll(async () => (await ask(url, 'GET', '/ready')).status).toBe(200);
  const { session_id } = link.openSession('voice');
  await expect.poll(async () => (await ask(url, 'GET', `/sessions/${session_id}`)).body['status']).toBe('active');
  program.child.kill('SIGTERM');
  await link.next('agent.drain');
  const close = await link.next('session.close');
  expect(close).toMatchObject({ session_id, reason: 'draining' });
  link.send({ type: 'reply', request_id: close.request_id, result: {} });
  expect(await program.ended).toEqual([0, null]);
});

test('a control plane that refuses the agent for good drains the program, which then ends with 1', async () => {
  await using plane = await ControlPlane.listen();
  const program = new Program({ launcher: { drainMs: 50 } }, { PARLEY_URL: plane.url });
  const link = await plane.link();
  await link.next('agent.register');
  const caller = await Caller.of(await program.url(), 'stays');
  link.send({ type: 'agent.error', error: { code: 'unauthenticated', message: 'no such key', retryable: false } });
  expect(await caller.closed).toEqual({ code: 1000, reason: 'draining' });
  expect(await program.ended).toEqual([1, null]);
  expect(program.said).toContain('agent: unauthenticated: no such key');
});

test('a port that is taken is told, and ends the program with 1', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const program = new Program({}, {}, ['--port', String(port)]);
  expect(await program.ended).toEqual([1, null]);
  expect(program.said).toContain(`agent: failed_precondition: port ${port} of 127.0.0.1 is in use`);
});
