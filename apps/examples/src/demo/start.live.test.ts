// The demonstration as people run it: the built program, in a process of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ParleyClient } from '@parley/client';
import { CAPABILITIES } from '@parley/core';
import { decodeSpeech, encodeSpeech, readWav, writeWav } from '@parley/simulator/speech';
import { afterAll, expect, test, vi } from 'vitest';
import type { CallReport } from './conversation.ts';
import { AGENT_LANGUAGES, missing } from './languages.ts';

// Each test hears whole calls at the speed of speech.
vi.setConfig({ testTimeout: 60_000 });

const PROGRAM = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'parley-start-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  child: ChildProcess;
  stdout: () => string;
  stderr: () => string;
  ended: Promise<number | null>;
  /** Resolves with what matched once the output does. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
}

function start(...args: string[]): Run {
  const child = spawn(process.execPath, [PROGRAM, '--data', folder, ...args], {
    cwd: folder,
    env: { ...process.env, INIT_CWD: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  child.once('close', () => children.delete(child));
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (chunk: Buffer) => {
      texts[name] += chunk.toString();
      child.emit('said');
    });
  }
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    ended: once(child, 'close').then(([code]) => code as number | null),
    seen(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(texts.stdout);
          if (found) resolve(found);
        };
        child.on('said', look);
        child.once('close', () => reject(new Error(`it ended without ${pattern}:\n${texts.stdout}${texts.stderr}`)));
        look();
      });
    },
  };
}

/** What the last line of stdout says of a run that succeeded. */
async function reportOf(run: Run): Promise<CallReport> {
  const code = await run.ended;
  if (code !== 0) throw new Error(`it ended with ${code}:\n${run.stderr()}`);
  return JSON.parse(run.stdout().trim().split('\n').at(-1) ?? '') as CallReport;
}

function wav(name: string, pcm: Int16Array, rate = 24_000): string {
  writeFileSync(join(folder, name), writeWav(pcm, rate));
  return name;
}

function heard(report: CallReport): Promise<string> {
  const { samples, sampleRate } = readWav(readFileSync(report.reply_wav));
  return decodeSpeech(samples, sampleRate);
}

test('--once --json makes a spoken call with a tool, and its last line says so', async () => {
  const run = start('--once', '--json');
  const report = await reportOf(run);
  expect(report.turns).toBe(1);
  expect(report.tool_calls).toBe(1);
  expect(report.workflow_nodes).toBe(3);
  expect(report.reply_audio_ms).toBeGreaterThan(1000);
  expect(report.user_audio_ms).toBeGreaterThan(report.reply_audio_ms);
  const spoken = await heard(report);
  expect(spoken).toBe('Order 42 is a walnut desk. It ships on Friday.');
  expect(run.stderr()).toContain(`agent  ${spoken}`);
});

test.for(AGENT_LANGUAGES)('over WebRTC, the agent in %s takes the same call', async (language, { skip }) => {
  const reason = missing(language);
  skip(reason !== null, reason ?? '');
  const run = start('--once', '--json', '--transport', 'webrtc', '--agent', language);
  const report = await reportOf(run);
  expect(report).toMatchObject({ transport: 'webrtc', turns: 1, tool_calls: 1, workflow_nodes: 3 });
  expect(report.user_audio_ms).toBeGreaterThan(1000);
  expect(report.reply_audio_ms).toBeGreaterThan(1000);
  expect(await heard(report)).toBe('Order 42 is a walnut desk. It ships on Friday.');
  expect(run.stderr()).toMatch(/tool .*lookup_order \{"order":"42"\}/);
});

test.for(AGENT_LANGUAGES)(
  'by turns, the agent in %s takes the same call in one request',
  async (language, { skip }) => {
    const reason = missing(language);
    skip(reason !== null, reason ?? '');
    const run = start('--once', '--json', '--transport', 'audio-turns', '--agent', language);
    const report = await reportOf(run);
    expect(report).toMatchObject({ transport: 'audio_turns', turns: 1, tool_calls: 1, workflow_nodes: 3 });
    expect(report.user_audio_ms).toBeGreaterThan(1000);
    expect(await heard(report)).toBe('Order 42 is a walnut desk. It ships on Friday.');
    expect(run.stderr()).toMatch(/tool .*lookup_order \{"order":"42"\}/);
  },
);

test.for(AGENT_LANGUAGES.filter((one) => one !== 'typescript'))(
  'the agent in %s takes the same call',
  async (language, { skip }) => {
    const reason = missing(language);
    skip(reason !== null, reason ?? '');
    const run = start('--once', '--json', '--agent', language);
    const report = await reportOf(run);
    expect(report).toMatchObject({ turns: 1, tool_calls: 1, workflow_nodes: 3 });
    expect(await heard(report)).toBe('Order 42 is a walnut desk. It ships on Friday.');
  },
);

// The table promises each of these.
const PAIRS = CAPABILITIES.filter(({ provider }) => provider !== 'simulator').flatMap(({ provider, transports }) =>
  Object.keys(transports).map((transport) => [provider, transport] as const),
);
test.for(PAIRS)('%s takes the same call over %s', async ([provider, transport]) => {
  const report = await reportOf(start('--once', '--json', '--provider', provider, '--transport', transport));
  expect(report).toMatchObject({ transport, turns: 1, tool_calls: 1, workflow_nodes: 3 });
  expect(await heard(report)).toBe('Order 42 is a walnut desk. It ships on Friday.');
});

test('--audio says the words of a telephone recording, and the answer is about them', async () => {
  const file = wav('telephone.wav', await encodeSpeech('where is order 44', { sampleRate: 8000 }), 8000);
  const run = start('--once', '--json', '--audio', file);
  const report = await reportOf(run);
  expect(await heard(report)).toBe('Order 44 is two chairs. It was delivered on Monday.');
  expect(run.stderr()).toContain('you    where is order 44');
});

test('speech without words is played back, as long as it was', async () => {
  const hum = Int16Array.from({ length: 36_000 }, (_, i) => 8000 * Math.sin(i / 20));
  const run = start('--once', '--json', '--audio', wav('hum.wav', hum));
  const report = await reportOf(run);
  expect(report).toMatchObject({ turns: 1, tool_calls: 0, workflow_nodes: 1 });
  expect(report.reply_audio_ms).toBeGreaterThanOrEqual(1500);
  expect(run.stderr()).toContain('(speech without words)');
});

test('what cannot be said is told in one line, with exit code 2', async () => {
  writeFileSync(join(folder, 'words.txt'), 'not a sound');
  const cases: [string, RegExp][] = [
    ['missing.wav', /invalid_argument: missing\.wav: cannot be read \(ENOENT\)/],
    ['words.txt', /invalid_argument: words\.txt: not a WAV file/],
    [wav('click.wav', new Int16Array(1000)), /invalid_argument: click\.wav: expected at least 100 ms of sound, got 42/],
    [wav('silence.wav', new Int16Array(12_000)), /invalid_argument: nothing in this audio is loud enough/],
  ];
  for (const [file, complaint] of cases) {
    const run = start('--once', '--json', '--audio', file);
    expect(await run.ended).toBe(2);
    expect(run.stderr()).toMatch(complaint);
    expect(run.stdout()).toBe('');
  }
  for (const [args, complaint] of [
    [
      ['--provider', 'acme'],
      "--provider must be one of azure_openai, gemini, openai, openai_compatible, openai_live, openrouter, simulator, xai; got 'acme'",
    ],
    [
      ['--provider', 'gemini', '--transport', 'audio_turns'],
      "gemini has the transports webrtc, websocket; got 'audio_turns'",
    ],
  ] as const) {
    const refused = start('--once', ...args);
    expect(await refused.ended).toBe(2);
    expect(refused.stderr()).toContain(complaint);
  }
  const run = start('--json');
  expect(await run.ended).toBe(2);
  expect(run.stderr()).toContain('--json goes with --once');
});

test('without --once it stays up, refuses a second beside it, and a signal stops all of it with 0', async () => {
  const run = start('--port', '0');
  const [, url = ''] = await run.seen(/Talk page {2}(http:\S+)\/talk/);
  const page = await fetch(`${url}/talk`);
  expect(await page.text()).toContain('<title>Talk');
  const client = new ParleyClient({ url });
  expect((await client.agents.list()).map(({ agent }) => agent)).toEqual(['support']);
  expect((await client.sessions.list()).sessions.map(({ status }) => status)).toEqual(['closed']);

  const second = start('--port', '0');
  expect(await second.ended).toBe(1);
  expect(second.stderr()).toMatch(/is in use by process \d+[^]*Is it up already/);

  run.child.kill('SIGINT');
  expect(await run.ended).toBe(0);
  expect(run.stdout()).toMatch(/stopping …\n {2}stopped\n$/);
  await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');
});

test('a call that is interrupted by a signal is not a success', async () => {
  const run = start('--once');
  await run.seen(/A call to/);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(128 + 15);
});

test('a port in use is told', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const run = start('--once', '--port', String(port));
  expect(await run.ended).toBe(1);
  expect(run.stderr()).toContain(`already_exists: port ${port} on 127.0.0.1 is taken`);
  other.close();
});

test('the agent does not outlive a demonstration that was killed', async ({ skip }) => {
  skip(process.platform !== 'linux', 'the children of a process are read from /proc');
  const run = start('--once', '--port', '0');
  await run.seen(/agent {10}support/);
  const [pid] = readFileSync(`/proc/${run.child.pid}/task/${run.child.pid}/children`, 'utf8').trim().split(' ');
  run.child.kill('SIGKILL');
  await run.ended;
  await expect.poll(() => alive(Number(pid)), { timeout: 10_000 }).toBe(false);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
