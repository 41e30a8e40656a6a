// Projects as they are written, and run as their README says, with this workspace in the place of the registry.

import { execFile, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createProject } from './project.ts';

const PACKAGES = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const env = { ...process.env, PARLEY_URL: '', PARLEY_SERVE_KEY: '', NODE_OPTIONS: '' };

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'create-parley-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A project whose dependencies are those of this workspace. */
function installed(): string {
  const folder = join(place(), 'front-desk');
  createProject({ folder, language: 'typescript' });
  mkdirSync(join(folder, 'node_modules', '@parley'), { recursive: true });
  symlinkSync(join(PACKAGES, 'session'), join(folder, 'node_modules', '@parley', 'session'));
  symlinkSync(join(PACKAGES, 'session', 'node_modules', 'zod'), join(folder, 'node_modules', 'zod'));
  return folder;
}

async function said(folder: string, args: string[], input: string): Promise<string> {
  const child = spawn(process.execPath, args, { cwd: folder, env });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stdin.end(input);
  await new Promise((resolve) => child.once('close', resolve));
  return out;
}

test('a project in TypeScript has what a project needs, under its own name', () => {
  const folder = join(place(), 'front-desk');
  const files = createProject({ folder, language: 'typescript' });
  expect(files).toEqual([
    '.dockerignore',
    '.env.example',
    '.gitignore',
    'Dockerfile',
    'README.md',
    'agent.ts',
    'compose.yaml',
    'desk-test.ts',
    'desk.ts',
    'package.json',
    'tsconfig.json',
  ]);
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  expect(texts).not.toContain('{{');
  expect(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))).toMatchObject({ name: 'front-desk' });
});

test('its agent holds a call in writing, without a key', async () => {
  const out = await said(installed(), ['agent.ts', 'run', '--text', '--call-id', 'one'], 'where is order 42?\n');
  expect(out).toContain('agent: Order 42 is on its way.');
  expect(out).toContain('the call ended: client_left');
});

test('its test passes', async () => {
  const { stdout } = await run(process.execPath, ['--test', '--test-reporter=tap'], { cwd: installed(), env });
  expect(stdout).toContain('# pass 1');
  expect(stdout).toContain('# fail 0');
});

test('a project in Python has what a project needs, and its test passes', async ({ skip }) => {
  const folder = join(place(), 'front-desk');
  const files = createProject({ folder, language: 'python' });
  expect(files).toContain('pyproject.toml');
  expect(files).toContain('test_agent.py');
  const python = join(PACKAGES, 'python', '.venv', 'bin', 'python');
  skip(!existsSync(python), 'needs the environment of packages/python: npm run build');
  const { stdout } = await run(python, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider'], { cwd: folder, env });
  expect(stdout).toContain('1 passed');
});

test('a folder that has something in it is left alone, and a name that cannot be one is refused', () => {
  const folder = join(place(), 'mine');
  mkdirSync(folder);
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  expect(() => createProject({ folder, language: 'python' })).toThrow('has something in it');
  expect(readdirSync(folder)).toEqual(['notes.txt']);
  expect(() => createProject({ folder: join(folder, 'No Name'), language: 'python' })).toThrow("got 'No Name'");
});
