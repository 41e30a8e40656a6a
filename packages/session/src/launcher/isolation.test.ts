// Real threads, real processes, and a program that is watched from beside.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { memorySocketPair } from '@parley/transport';
import { describe, expect, onTestFinished, test } from 'vitest';
import { launcherOf } from './isolation.test.fixture.ts';
import { collected } from './launcher.test.support.ts';
import type { AgentLauncherOptions, Isolation } from './options.ts';

// As it was built: a thread loads the program as Node does.
const MODULE = new URL('../../dist/launcher/isolation.test.fixture.js', import.meta.url);

function isolated(isolation: Isolation, options: Partial<AgentLauncherOptions> = {}) {
  const { log, lines } = collected();
  const launcher = launcherOf({ isolation, module: MODULE, log, ...options });
  onTestFinished(() => launcher.stop());
  return { launcher, lines };
}

describe.each(['worker', 'process'] as const)('in a %s', (isolation) => {
  test('a crash where nobody catches it ends its session, and its neighbour goes on', async () => {
    const { launcher } = isolated(isolation);
    const [crashes, neighbour] = await Promise.all([
      launcher.launch({ callId: 'crashes' }),
      launcher.launch({ callId: 'stays' }),
    ]);
    await neighbour?.active;
    await crashes?.finished;
    expect(crashes?.toJSON()).toMatchObject({ status: 'failed', error: { code: 'internal' } });
    expect(crashes?.error?.message).toContain('of this session crashed');
    expect(neighbour?.status).toBe('active');
    await neighbour?.close('enough');
    expect(neighbour).toMatchObject({ status: 'ended', reason: 'enough' });
  });

  test('a blocked loop is ended, the session is named, and its neighbour goes on', async () => {
    const { launcher, lines } = isolated(isolation);
    const [blocks, neighbour] = await Promise.all([
      launcher.launch({ callId: 'blocks' }),
      launcher.launch({ callId: 'stays' }),
    ]);
    await neighbour?.active;
    await blocks?.finished;
    expect(blocks?.reason).toBe('blocked');
    expect(blocks?.error?.details).toMatchObject({ culprit: blocks?.id, call_id: 'blocks' });
    expect(lines.find(({ message }) => message === 'an event loop is blocked')?.fields).toMatchObject({
      culprit: blocks?.id,
    });
    expect(neighbour?.status).toBe('active');
  });

  test('every entry of the log is told in there, and what it throws ends nothing', async () => {
    const { launcher, lines } = isolated(isolation);
    const session = await launcher.launch({ callId: 'talks' });
    await session.active;
    await expect
      .poll(() => lines.find(({ message }) => message === 'onEntry failed')?.fields['type'])
      .toBe('session.created');
    expect(session.status).toBe('active');
  });

  test('agents of a configuration are made in advance, and given to no other configuration', async () => {
    const { launcher } = isolated(isolation, { warmAgents: 1, warmConfigurations: ['red'] });
    await launcher.start();
    expect(launcher.status.warmAgents).toBe(1);
    const sessions = await Promise.all(
      ['red', 'blue'].map((input) => launcher.launch({ callId: 'tells', callType: 'default', input })),
    );
    await Promise.all(sessions.map(({ finished }) => finished));
    expect(sessions.map(({ error }) => error?.message)).toEqual(['made in advance, red', 'made for its session, blue']);
    // The next ones are made meanwhile, of both.
    await expect.poll(() => launcher.status.warmAgents, { timeout: 20_000 }).toBe(2);
  });

  test('one that ends before its session came is told and forgotten, and its session gets another', async () => {
    const { launcher, lines } = isolated(isolation, { warmAgents: 1, warmConfigurations: ['mortal'] });
    await launcher.start();
    await expect
      .poll(() => lines.some(({ message }) => message === 'a warm place ended before its session came'))
      .toBe(true);
    expect(launcher.status.warmAgents).toBe(0);
    const session = await launcher.launch({ callId: 'tells', input: 'mortal' });
    await session.finished;
    expect(session.error?.message).toBe('made for its session, mortal');
  });

  test('what joinCall throws is told across', async () => {
    const { launcher } = isolated(isolation);
    const session = await launcher.launch({ callId: 'throws' });
    await session.finished;
    expect(session).toMatchObject({ status: 'failed' });
    expect(session.error?.message).toBe('thrown in joinCall');
  });

  test('a client talks to an agent in there, and the call is counted here', async () => {
    const { launcher } = isolated(isolation);
    const session = await launcher.launch({ callId: 'talks' });
    await session.active;
    const [client, place] = memorySocketPair();
    const types: string[] = [];
    client.onFrame((frame) => types.push((JSON.parse(frame.toString()) as { type: string }).type));
    launcher.attach(session.id, place);
    await expect.poll(() => types[0]).toBe('session.created');
    const content = [{ type: 'input_text', text: 'hello' }];
    client.send(JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } }));
    client.send('{"type":"response.create"}');
    await expect.poll(() => types.includes('response.done')).toBe(true);
    client.close(1000);
    await session.finished;
    expect(session).toMatchObject({ status: 'ended', reason: 'client_left' });
    expect(session.report()).toMatchObject({ turns: 1, responses: 1 });
  });
});

test('a full heap ends the process that it is in, and its neighbour goes on', async () => {
  const { launcher } = isolated('process', { isolateHeapMb: 64 });
  const [hoards, neighbour] = await Promise.all([
    launcher.launch({ callId: 'hoards' }),
    launcher.launch({ callId: 'stays' }),
  ]);
  await neighbour?.active;
  await hoards?.finished;
  expect(hoards?.toJSON()).toMatchObject({ status: 'failed', error: { code: 'internal' } });
  expect(hoards?.error?.message).toMatch(/memory|SIGABRT|SIGTRAP|134/);
  expect(neighbour?.status).toBe('active');
});

test('a process that is killed is its own session, and no other', async () => {
  const { launcher } = isolated('process');
  const [killed, neighbour] = await Promise.all([
    launcher.launch({ callId: 'killed' }),
    launcher.launch({ callId: 'stays' }),
  ]);
  await neighbour?.active;
  await killed?.finished;
  expect(killed?.error?.message).toBe('the process of this session crashed: it ended with SIGKILL');
  expect(neighbour?.status).toBe('active');
});

test.for(['worker', 'process'] as const)('what a session prints in a %s goes to stderr', async (isolation) => {
  const program = `
    import { launcherOf } from ${JSON.stringify(MODULE.href)};
    const launcher = launcherOf({ isolation: '${isolation}' });
    await (await launcher.launch({ callId: 'prints' })).active;
    await launcher.stop();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await new Promise((resolve) => child.on('close', resolve));
  expect(err).toContain('printed in isolation');
  expect(out).toBe('');
});

test('in a shared loop the watchdog names the session that blocks it, and the place in the code', async () => {
  const program = `
    import { Runner } from '@parley/session';
    import { launcherOf } from ${JSON.stringify(MODULE.href)};
    const launcher = launcherOf({ isolation: 'shared', blockedMs: 300, drainMs: 100 });
    const stop = new AbortController();
    void new Runner({ launcher }).serve({ port: 0, signal: stop.signal, onListening: async () => {
      while (launcher.unready !== null) await new Promise((resolve) => setImmediate(resolve));
      const session = await launcher.launch({ callId: 'stalls' });
      process.stdout.write(session.id);
      setTimeout(() => stop.abort(), 2500);
    } });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, PARLEY_URL: '' },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise((resolve) => child.on('close', resolve));
  const line = err.split('\n').find((text) => text.includes('"the event loop is blocked"'));
  const told = JSON.parse(line ?? '{}') as { culprit: string; stack: string[] };
  expect(told.culprit).toBe(out);
  expect(told.stack.join(' ')).toMatch(/blockFor \(file:.*isolation\.test\.fixture\.js:\d+\)/);
  expect(err).toContain('the event loop turns again');
  expect(code).toBe(0);
});
