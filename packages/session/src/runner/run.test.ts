// `run`, as somebody at a terminal has it: a real process, its stdin and stdout, and the simulator.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type EventRecord, initialState, step } from '@parley/core';
import { encodeSpeech, readWav, writeWav } from '@parley/simulator/speech';
import { expect, onTestFinished, test } from 'vitest';

const FIXTURE = fileURLToPath(new URL('agent.test.fixture.ts', import.meta.url));
const RATE = 24_000;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'parley-run-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function started(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [FIXTURE, ...args], {
    env: { ...process.env, PARLEY_URL: '', OPENAI_API_KEY: '', ...env },
  });
  const ran = { code: null as number | null, out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (ran.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (ran.err += chunk.toString()));
  const ended = once(child, 'close').then(([code]): Ran => ({ ...ran, code: code as number | null }));
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, ran, ended };
}

async function run(args: readonly string[], input = '', env: Record<string, string> = {}): Promise<Ran> {
  const { child, ended } = started(['run', ...args], env);
  child.stdin.end(input);
  return ended;
}

test('typed lines are said one after the other, each with its answer and what it took', async () => {
  const { code, out, err } = await run(['--text', '--call-id', 'my-call', '--call-type', 'default'], '42\n\n7\n');
  expect(err).toBe('');
  expect(code).toBe(0);
  const lines = out.trim().split('\n');
  expect(lines[0]).toBe('call my-call: desk.default, provider simulator');
  const heard = lines.filter((line) => /^(?:you|agent): /.test(line));
  expect(heard).toEqual(['you: 42', 'agent: Order 42 is on its way.', 'you: 7', 'agent: Order 7 is on its way.']);
  expect(lines.filter((line) => /· answer after \d+ ms, model began after \d+ ms/.test(line))).toHaveLength(2);
  expect(lines.at(-1)).toBe('the call ended: client_left');
});

test('a tool of the model has a line when it is called, and one when it has answered', async () => {
  const script = join(folder(), 'script.yaml');
  writeFileSync(
    script,
    "rules:\n  - heard: 'order (\\d+)'\n    call: { name: find_order, arguments: { order: '$1' } }\n    then: 'It is {{output.state}}.'\n",
  );
  const { out } = await run(['--text', '--call-type', 'model'], 'order 42\n', { PARLEY_SIMULATOR_SCRIPT: script });
  expect(out).toContain('➜ find_order {"order":"42"}');
  expect(out).toMatch(/✓ find_order \{"state":"on its way","input":\{"order":"42"\}\} \(\d+ ms\)/);
  expect(out).toContain('agent: It is on its way.');
});

test('a recording has the whole log, and the sound of both sides', async () => {
  const path = folder();
  const { out } = await run(['--text', '--call-id', 'kept/one', '--record', path], '42\n');
  expect(out).toContain(`recorded: ${join(path, 'kept_one')}.wav and .jsonl`);
  const log = readFileSync(join(path, 'kept_one.jsonl'), 'utf8').trim().split('\n');
  const entries = log.map((line) => JSON.parse(line) as EventRecord);
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, at) => at + 1));
  // A log is a session: it can be folded from its first entry to its last.
  const state = entries.reduce((folded, entry) => step(folded, entry).state, initialState());
  expect(state).toMatchObject({ phase: 'closed', turns: 1 });
  const bytes = readFileSync(join(path, 'kept_one.wav'));
  expect(bytes.readUInt16LE(22)).toBe(2);
  const samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset + 44, bytes.byteOffset + bytes.length));
  const loud = (side: number): boolean => samples.some((sample, at) => at % 2 === side && Math.abs(sample) > 1_000);
  expect([loud(0), loud(1)]).toEqual([false, true]);
});

test('a WAV file is said as a microphone would, and answered', async () => {
  const path = join(folder(), 'speech.wav');
  writeFileSync(path, writeWav(await encodeSpeech('42', { sampleRate: RATE }), RATE));
  expect(readWav(readFileSync(path)).sampleRate).toBe(RATE);
  const { out, code } = await run(['--audio', path]);
  expect(out).toContain('saying what is in the file');
  expect(out).toContain('you: 42');
  expect(out).toContain('agent: Order 42 is on its way.');
  expect(code).toBe(0);
});

test('with --debug the entries of the log are shown, and the log of the launcher is on stderr', async () => {
  const { out, err } = await run(['--text', '--debug'], '42\n');
  for (const type of ['turn.completed', 'say.requested', 'say.completed'])
    expect(out).toMatch(new RegExp(`\\d+ ${type}`));
  expect(err).toContain('"msg":"session active"');
});

test('with --no-demo the agent is in its call alone, until it is told to stop', async () => {
  const { child, ended, ran } = started(['run', '--no-demo', '--log-level', 'info']);
  await expect.poll(() => ran.err).toContain('session active');
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 0, out: 'the call ended: stopped\n' });
});

test.for([
  [['--provider', 'openai'], 'agent: failed_precondition: provider openai is not set up: set OPENAI_API_KEY'],
  [['--provider', 'acme'], "agent: invalid_argument: Unknown session provider 'acme'. Known providers:"],
  [['--audio', '/nowhere.wav'], 'agent: invalid_argument: the audio file /nowhere.wav cannot be read (ENOENT)'],
  [['--call-id', 'a b'], "agent: invalid_argument: call_id must be 1 to 128 characters without white space, got 'a b'"],
  [['--call-id', 'broken'], 'agent: unknown: the line is cut'],
] as const)('%j ends with 1, and says why', async ([args, words]) => {
  const { code, err } = await run(['--text', ...args], '42\n');
  expect(err).toContain(words);
  expect(code).toBe(1);
});

test.for([
  [['run', '--bogus'], "unknown option '--bogus'"],
  [['run', '--log-level', 'loud'], 'Allowed choices are debug, info, warn, error'],
  [['run', '--input', '{'], 'It must be JSON.'],
  [['serve', '--port', '99999'], 'It must be a whole number from 0 to 65535.'],
  [['walk'], "unknown command 'walk'"],
] as const)('the command line %j ends with 2', async ([args, words]) => {
  const { child, ended } = started(args);
  child.stdin.end();
  const { code, err } = await ended;
  expect(err).toContain(words);
  expect(code).toBe(2);
});
