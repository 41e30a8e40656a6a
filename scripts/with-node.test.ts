import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from './workspace.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'parley with node '));
  writeFileSync(
    join(folder, 'echo.ts'),
    `const args: string[] = process.argv.slice(2);
    console.log(JSON.stringify(args));
    process.exitCode = 7;`,
  );
  writeFileSync(
    join(folder, 'drain.ts'),
    `const heard: string[] = [];
    const open = setInterval(() => {}, 1_000);
    process.on('SIGINT', () => { heard.push('SIGINT'); console.log('draining'); });
    process.on('SIGTERM', () => {
      heard.push('SIGTERM');
      clearInterval(open);
      console.log(heard.join(' '));
      process.exitCode = 5;
    });
    console.log('ready');`,
  );
  writeFileSync(
    join(folder, 'orphan.ts'),
    `process.once('disconnect', () => { console.log('alone'); process.exit(); });
    console.log('ready');`,
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(script: string, ...args: string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [
    join(root, 'scripts', 'with-node.mjs'),
    relative(root, join(folder, script)),
    ...args,
  ]);
}

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return chunk.toString().trim();
}

test('arguments arrive as they were written, stdout is the script alone, and its exit code is kept', async () => {
  const args = ['two words', `it's "quoted"`, '--json', '$HOME', ''];
  const child = start('echo.ts', ...args);
  const exited = once(child, 'exit');
  expect(JSON.parse(await firstLine(child))).toEqual(args);
  expect(await exited).toEqual([7, null]);
});

test('an interrupt that is delivered twice reaches the script once, and the script may take its time to end', async () => {
  const child = start('drain.ts');
  const exited = once(child, 'exit');
  expect(await firstLine(child)).toBe('ready');
  // Ctrl-C under npm: once from the terminal, once from npm.
  child.kill('SIGINT');
  child.kill('SIGINT');
  expect(await firstLine(child)).toBe('draining');
  child.kill('SIGTERM');
  expect(await firstLine(child)).toBe('SIGINT SIGTERM');
  expect(await exited).toEqual([5, null]);
});

test('a script is told when its caller was killed', async () => {
  const child = start('orphan.ts');
  expect(await firstLine(child)).toBe('ready');
  child.kill('SIGKILL');
  expect(await firstLine(child)).toBe('alone');
});
