import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Agent } from './agent.ts';
import { ControlPlane, memoryLog, type PeerLink } from './control-plane.test.peer.ts';

interface Program extends AsyncDisposable {
  child: ChildProcess;
  output: { out: string; err: string };
  ended: Promise<number | null>;
}

function program(url: string): Program {
  const child = spawn(process.execPath, [fileURLToPath(new URL('serve.test.fixture.ts', import.meta.url))], {
    env: { ...process.env, PARLEY_URL: url, PARLEY_KEY: 'key_of_the_test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    output,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function registered(plane: ControlPlane): Promise<PeerLink> {
  const link = await plane.link();
  await link.register();
  return link;
}

test('SIGTERM drains a serving program: it finishes what runs, and ends with 0', async () => {
  await using plane = await ControlPlane.listen();
  await using served = program(plane.url);
  const link = await registered(plane);
  const id = link.dispatch('asks', {});
  const call = await link.next('function.call');
  served.child.kill('SIGTERM');
  await link.next('agent.drain');
  link.send({ type: 'reply', request_id: call.request_id, result: 'finished' });
  expect(await link.result(id)).toMatchObject({ output: 'finished' });
  expect(await served.ended).toBe(0);
  expect(served.output.out).toBe('served\n');
  expect(served.output.err).not.toContain('key_of_the_test');
});

test('a second signal cancels what runs', async () => {
  await using plane = await ControlPlane.listen();
  await using served = program(plane.url);
  const link = await registered(plane);
  const id = link.dispatch('deaf', {});
  await link.next('execution.accepted');
  served.child.kill('SIGINT');
  await link.next('agent.drain');
  served.child.kill('SIGINT');
  expect(await link.result(id)).toMatchObject({ status: 'cancelled' });
  expect(await served.ended).toBe(0);
});

test('a program that the control plane refuses ends with an error', async () => {
  await using plane = await ControlPlane.listen();
  plane.refuse = 403;
  await using served = program(plane.url);
  expect(await served.ended).toBe(1);
  expect(served.output.err).toContain('permission_denied');
  expect(served.output.err).not.toContain('key_of_the_test');
});

test('serve ends when its signal is aborted, and leaves no listener behind', async () => {
  await using plane = await ControlPlane.listen();
  const before = process.listenerCount('SIGTERM');
  const stop = new AbortController();
  const served = new Agent('support', { log: memoryLog().log }).serve({ url: plane.url, signal: stop.signal });
  const link = await registered(plane);
  expect(process.listenerCount('SIGTERM')).toBe(before + 1);
  await link.next('agent.heartbeat');
  stop.abort();
  await served;
  expect(await link.closed).toMatchObject({ code: 1000 });
  expect(process.listenerCount('SIGTERM')).toBe(before);
});
