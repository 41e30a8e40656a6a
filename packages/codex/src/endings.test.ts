import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test as base } from 'vitest';
import { CODEX_VERSION } from './binary.ts';
import { type Lab, lab } from './test-support/codex-test.ts';
import { rejection, runnerOf, steps } from './test-support/workbench.ts';

const test = base.extend<Lab>(lab);

test.for([
  [400, 'invalid_argument', false],
  [401, 'unauthenticated', false],
  [403, 'permission_denied', false],
  [404, 'not_found', false],
  [429, 'resource_exhausted', true],
  [500, 'unavailable', true],
  [503, 'unavailable', true],
] as const)(
  'a provider that answers %d is the error %s, and the conversation goes on',
  async ([status, code, retryable], { lab }) => {
    const { factory, runner } = await runnerOf(lab);
    await expect(runner.turn(steps({ status }))).rejects.toMatchObject({
      code,
      retryable,
      details: { reason: 'turn_failed', backend_error: { type: expect.any(String) as string } },
    });
    expect(factory.state).toBe('ready');
    expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
  },
);

test.for([
  ['context_length_exceeded', 'contextWindowExceeded', 'out_of_range', false],
  ['insufficient_quota', 'usageLimitExceeded', 'resource_exhausted', false],
] as const)(
  'what the provider calls %s can be told from other failures',
  async ([said, type, code, retryable], { lab }) => {
    const { runner } = await runnerOf(lab);
    await expect(runner.turn(steps({ fails: { code: said, message: 'as scripted' } }))).rejects.toMatchObject({
      code,
      retryable,
      details: { backend_error: { type } },
    });
  },
);

test('a provider that drops the connection is a failed turn that can be tried again', async ({ lab }) => {
  const { runner } = await runnerOf(lab);
  await expect(runner.turn(steps({ drops: true }))).rejects.toMatchObject({
    retryable: true,
    details: { reason: 'turn_failed' },
  });
  expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
});

test('a provider that cannot be reached is told at once', async ({ lab }) => {
  const baseUrl = await deadUrl();
  const providers = [{ id: 'gone', baseUrl, requestRetriesMax: 0, streamRetriesMax: 0 }];
  const { runner } = await runnerOf(lab, { providers });
  await expect(runner.turn('hello', { timeoutSeconds: 15 })).rejects.toMatchObject({
    retryable: true,
    details: { reason: 'turn_failed' },
  });
});

test('where Codex may try for ever, the timeout says that it was the provider', async ({ lab }) => {
  const baseUrl = await deadUrl();
  const providers = [{ id: 'gone', baseUrl, requestRetriesMax: 0, streamRetriesMax: 0 }];
  const { runner } = await runnerOf(lab, { providers, config: { 'features.unbounded_connection_retries': true } });
  const progress: string[] = [];
  const turn = runner.turn('hello', { timeoutSeconds: 3, onProgress: ({ kind }) => progress.push(kind) });
  await expect(turn).rejects.toMatchObject({
    code: 'deadline_exceeded',
    details: { reason: 'timeout', waiting_for: expect.stringMatching(/^the provider \(/) as string },
  });
  expect(progress).toContain('provider.retrying');
});

test('an interrupted turn breaks its request to the provider off', async ({ lab }) => {
  const { runner } = await runnerOf(lab);
  const abort = new AbortController();
  const turn = runner.turn(steps({ hangs: true }), { signal: abort.signal });
  const ended = rejection(turn);
  await lab.provider.hanging();
  abort.abort();
  expect(await ended).toMatchObject({ code: 'cancelled', details: { reason: 'aborted' } });
  await expect.poll(() => lab.provider.requests[0]?.aborted).toBe(true);
});

test('a deadline of 5 ms, again and again, at every moment of a turn, never leaves one running', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab);
  for (const ms of [5, 5, 5, 10, 15, 20, 30, 40, 60]) {
    await expect(runner.turn(steps({ hangs: true }), { timeoutSeconds: ms / 1000 })).rejects.toMatchObject({
      details: { reason: 'timeout' },
    });
  }
  expect(factory.state).toBe('ready');
  expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
  await expect.poll(() => lab.provider.requests.slice(0, -1).every(({ aborted }) => aborted)).toBe(true);
});

test('a conversation that never had a turn is disposed of like any other', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab);
  await expect(runner.turn(steps({ text: 'x' }), { timeoutSeconds: 0.001 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
  });
  await runner.dispose();
  expect(factory.state).toBe('ready');
});

test('a frozen Codex is given up: its turn times out, every runner refuses, and close ends it', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab, { cleanUpMs: 300, stopMs: 300 });
  const other = await factory.runner({ workingDirectory: lab.folder });
  await runner.turn(steps({ text: 'warm' }));
  const pid = factory.pid ?? 0;
  process.kill(pid, 'SIGSTOP');
  await expect(runner.turn(steps({ text: 'x' }), { timeoutSeconds: 0.2 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
    details: { reason: 'timeout', waiting_for: 'Codex to take the turn' },
  });
  expect(factory.state).toBe('invalid');
  await expect(other.turn(steps({ text: 'x' }))).rejects.toMatchObject({
    code: 'unavailable',
    retryable: false,
    details: { reason: 'backend_invalid' },
    message: expect.stringContaining('did not end in time') as string,
  });
  await factory.close();
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test('a Codex that ends in the middle ends all turns, and what it last said is in the error', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab);
  const other = await factory.runner({ workingDirectory: lab.folder });
  const turns = [runner.turn(steps({ hangs: true })), other.turn(steps({ hangs: true }))];
  const ended = turns.map((turn) =>
    expect(turn).rejects.toMatchObject({
      details: { reason: 'backend_invalid' },
      message: expect.stringContaining('SIGKILL') as string,
    }),
  );
  await lab.provider.hanging();
  await lab.provider.hanging();
  process.kill(factory.pid ?? 0, 'SIGKILL');
  await Promise.all(ended);
});

test('a private home goes with its factory', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab);
  await runner.turn(steps({ text: 'x' }));
  const environment = await readFile(`/proc/${factory.pid}/environ`, 'utf8');
  const home = /CODEX_HOME=([^\0]+)/.exec(environment)?.[1] ?? '';
  expect(existsSync(home)).toBe(true);
  await factory.close();
  expect(existsSync(home)).toBe(false);
});

test('a Codex that does not start says why', async ({ lab }) => {
  const unknown = lab.factory({ config: { 'features.no_such_feature_at_all': true } });
  await expect(unknown.start()).rejects.toMatchObject({
    code: 'unavailable',
    details: { reason: 'backend_start_failed' },
    message: expect.stringContaining('no_such_feature_at_all') as string,
  });
  expect(unknown.state).toBe('invalid');
  const nowhere = lab.factory({ codexPath: join(lab.folder, 'codex') });
  await expect(nowhere.start()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining(`npm install @openai/codex@${CODEX_VERSION}`) as string,
  });
  const mute = join(lab.folder, 'mute');
  await writeFile(mute, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
  const silent = lab.factory({ codexPath: mute, startTimeoutMs: 200, stopMs: 200 });
  await expect(silent.start()).rejects.toMatchObject({
    details: { reason: 'backend_start_failed' },
    message: expect.stringContaining('200 ms') as string,
  });
});

test('a close does not wait for a start that takes its time', async ({ lab }) => {
  const mute = join(lab.folder, 'mute');
  await writeFile(mute, `#!/bin/sh\necho $$ > ${lab.folder}/pid\nexec sleep 600\n`, { mode: 0o755 });
  const factory = lab.factory({ codexPath: mute, stopMs: 200 });
  const started = rejection(factory.start());
  await expect.poll(() => existsSync(join(lab.folder, 'pid'))).toBe(true);
  await factory.close();
  expect(await started).toMatchObject({
    details: { reason: 'backend_start_failed' },
    message: expect.stringContaining('was closed') as string,
  });
  expect(factory.state).toBe('closed');
  expect(existsSync(`/proc/${(await readFile(join(lab.folder, 'pid'), 'utf8')).trim()}`)).toBe(false);
});

test('a home that cannot be made is a start that failed', async ({ lab }) => {
  const file = join(lab.folder, 'file');
  await writeFile(file, '');
  const factory = lab.factory({ home: join(file, 'home') });
  await expect(factory.start()).rejects.toMatchObject({
    details: { reason: 'backend_start_failed' },
    message: expect.stringContaining('ENOTDIR') as string,
  });
  expect(factory.state).toBe('invalid');
});

test('a Codex that talks nonsense is given up', async ({ lab }) => {
  const babbling = join(lab.folder, 'babbling');
  await writeFile(babbling, '#!/bin/sh\necho hello there\nexec sleep 600\n', { mode: 0o755 });
  const factory = lab.factory({ codexPath: babbling, stopMs: 200 });
  await expect(factory.start()).rejects.toMatchObject({ message: expect.stringContaining('not JSON') as string });
});

test('nothing but the provider is asked for anything', async ({ lab }) => {
  const asked: string[] = [];
  const proxy = createServer((socket) =>
    socket.once('data', (data) => {
      asked.push(data.toString().split('\r\n')[0] ?? '');
      socket.destroy();
    }),
  );
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const env = {
    HTTPS_PROXY: url,
    https_proxy: url,
    HTTP_PROXY: url,
    http_proxy: url,
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  };
  const { factory, runner } = await runnerOf(lab, { env });
  await runner.turn(steps({ text: 'x' }));
  await factory.close();
  proxy.close();
  expect(asked).toEqual([]);
});

async function deadUrl(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/v1`;
}
