// `run` at a terminal with a microphone and a speaker: both are programs of the test's own, the terminal is a real one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import { expect, onTestFinished, test } from 'vitest';
import { foundProgram } from './machine-audio.ts';

const FIXTURE = fileURLToPath(new URL('agent.test.fixture.ts', import.meta.url));
const RATE = 24_000;
const quiet = (ms: number): Int16Array => new Int16Array((RATE * ms) / 1000);

// A recorder that gives what it has in real time, and then silence for ever.
const RECORDER = `
const sound = require('node:fs').readFileSync(process.argv[2]);
const began = performance.now();
let at = 0;
process.stdout.on('error', () => process.exit());
setInterval(() => {
  const due = Math.floor((performance.now() - began) * ${RATE / 1000}) * 2;
  process.stdout.write(at < sound.length ? sound.subarray(at, due) : Buffer.alloc(due - at));
  at = due;
}, 20);`;

test('who speaks is heard, sees the levels and the words, and interrupts by speaking', async ({ skip }) => {
  skip(foundProgram('script') === null, 'needs `script` of util-linux, for a terminal');
  const folder = mkdtempSync(join(tmpdir(), 'parley-talk-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const first = await encodeSpeech('41', { sampleRate: RATE });
  const second = await encodeSpeech('42', { sampleRate: RATE });
  // The second is said into the answer to the first.
  const parts = [quiet(1_500), first, quiet(2_000), second, quiet(500)];
  const bytes = parts.map((pcm) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  writeFileSync(join(folder, 'said.raw'), Buffer.concat(bytes));
  writeFileSync(join(folder, 'recorder.cjs'), RECORDER);
  const heard = join(folder, 'heard.raw');
  const program = (name: string, line: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${line}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  program('parec', `'${process.execPath}' '${join(folder, 'recorder.cjs')}' '${join(folder, 'said.raw')}'`);
  program('pacat', `cat > '${heard}'`);

  const child = spawn('script', ['-qec', `'${process.execPath}' '${FIXTURE}' run --call-id spoken`, '/dev/null'], {
    env: { ...process.env, PARLEY_URL: '', NO_COLOR: '1', PATH: `${folder}${delimiter}${process.env['PATH']}` },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let screen = '';
  child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
  const ended = once(child, 'close');
  await expect.poll(() => screen, { timeout: 60_000 }).toContain('agent: Order 42 is on its way.');
  const before = screen.length;
  // It is played to its end: the agent's meter rises, and falls again.
  await expect.poll(() => screen.slice(before), { timeout: 60_000 }).toMatch(/🔊 *[▃▄▅▆▇█]{3}[^]*🔊 {6}/);
  // Ctrl-C.
  child.stdin.write('\x03');
  await ended;

  expect(screen).toContain('listening with parec');
  expect(screen).toMatch(/🎤 [ ▁▂▃▄▅▆▇█]*[▃▄▅▆▇█]/);
  // Words as they come, before their line.
  expect(screen).toMatch(/agent: Order [^\n]*…/);
  const lines = screen.split(/[\r\n]/).map((line) => line.replaceAll('\x1b[2K', '').trim());
  const told = lines.filter((line) => /^(?:you|agent): .*[^…]$|^· (?:answer|interrupted) after \d+ ms/.test(line));
  expect(told.map((line) => line.replaceAll(/\d+ ms.*/g, 'N ms'))).toEqual([
    'you: 41',
    '· answer after N ms',
    'agent: Order 41 is on its way.',
    '· interrupted after N ms',
    'you: 42',
    '· answer after N ms',
    'agent: Order 42 is on its way.',
  ]);
  expect(screen).toContain('the call ended: stopped');
  // What the speaker was given: so much of the first answer, and then the second one, whole.
  const pcm = readFileSync(heard);
  const samples = new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + (pcm.length & ~1)));
  const cut = Number(/interrupted after (\d+) ms/.exec(screen)?.[1]);
  expect(await decodeSpeech(samples.subarray((cut * RATE) / 1000), RATE)).toBe('Order 42 is on its way.');
}, 120_000);
