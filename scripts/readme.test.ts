// README.md keeps its word: every command that it shows is run, and its program is compiled and called.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bin, packages, root } from './workspace.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

const README = readFileSync(join(root, 'README.md'), 'utf8');
const CLI = join(root, 'packages', 'cli', 'dist', 'main.js');
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> })
  .scripts;
const folder = mkdtempSync(join(tmpdir(), 'parley-readme-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w+)\n([^]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => text ?? '');
}

/** Every line of the sh blocks, and what stands in backticks and begins like one. */
const pasted = blocks('sh').flatMap((block) => block.trim().split('\n'));
const inline = [...README.matchAll(/`((?:npm|pnpm) [^`]+)`/g)].map(([, command]) => command ?? '');

interface Program {
  child: ChildProcess;
  /** Resolves with the first match in what it prints; rejects when it ended without. */
  prints(pattern: RegExp): Promise<RegExpExecArray>;
  ended: Promise<{ code: number | null; output: string }>;
}

function program(command: string, args: readonly string[], env: Record<string, string> = {}, cwd = root): Program {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      child.emit('printed');
    });
  }
  const ended = once(child, 'close').then(([code]) => {
    children.delete(child);
    return { code: code as number | null, output };
  });
  return {
    child,
    ended,
    prints(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(output);
          if (found) resolve(found);
        };
        child.on('printed', look);
        void ended.then(({ code }) => reject(new Error(`ended with ${code} and without ${pattern}:\n${output}`)));
        look();
      });
    },
  };
}

/** A line as a shell would run it, with more arguments behind it. */
function shell(line: string, more: readonly string[] = [], env: Record<string, string> = {}): Program {
  return program('sh', ['-c', `exec ${line} "$@"`, 'sh', ...more], env);
}

let demo: Program;
let url: string;
beforeAll(async () => {
  // The first line of the page. Only the port and the folder are our own: others may use theirs.
  demo = shell('npm start --', ['--port', '0', '--data', join(folder, 'demo')]);
  [, url = ''] = await demo.prints(/Talk page {2}(http:\S+)\/talk[^]*Ctrl-C/);
});

test('npm start makes the call, serves the talk page, and stays', async () => {
  expect(pasted[0]).toBe('npm start');
  const page = await fetch(`${url}/talk`);
  expect(page.status).toBe(200);
  expect(demo.child.exitCode).toBeNull();
});

test('npm test is there', () => {
  expect(pasted).toContain('npm test');
  expect(scripts['test']).toContain('scripts/test.ts');
});

test.for(pasted.filter((line) => line !== 'npm start' && line !== 'npm test'))(
  '%s succeeds beside a running npm start',
  async (line) => {
    expect(line).toMatch(/^npm run parley -- /);
    const { code, output } = await shell(line, [], { PARLEY_URL: url }).ended;
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain(/order (\d+)/.test(line) ? 'Order 42 is a walnut desk.' : '');
  },
);

test('what stands in the text can be run as well', async () => {
  // What npm fetches by its name is made, installed and run from the packed packages, by `npm run check`.
  const elsewhere = ['npm start', 'npm test', 'npm create parley'];
  const commands = inline.filter((command) => !elsewhere.includes(command));
  expect(commands.length).toBeGreaterThan(2);
  const faults: string[] = [];
  for (const command of commands) {
    const fault = await faultOf(command);
    if (fault !== null) faults.push(`${command}: ${fault}`);
  }
  expect(faults).toEqual([]);
});

async function faultOf(command: string): Promise<string | null> {
  const [, script = ''] = command.split(' ');
  // `pnpm bench` takes minutes: it is there.
  if (command.startsWith('pnpm ')) return script in scripts ? null : 'no such script';
  const mine = script === 'start' ? ['--data', join(folder, 'once')] : [];
  // FILE stands for somebody's own; a name that we made up is refused as one that is not there.
  const { code, output } = await shell(command.replace(' FILE', ' made-up.wav'), mine).ended;
  const done = command.includes(' FILE') ? output.includes('made-up.wav: cannot be read (ENOENT)') : code === 0;
  return done ? null : `ended with ${code}:\n${output}`;
}

test('every command of the table tells its help', async () => {
  const table = [...README.matchAll(/^\| (`parley [^|]+) \|/gm)].flatMap(([, cell]) => cell?.match(/`[^`]+`/g) ?? []);
  const names = table.map((name) => name.replaceAll('`', '').replace(/^parley /, ''));
  expect(names).toContain('talk');
  const groups = new Set(['session']);
  for (const name of names) {
    const words = name.split(' ');
    // `parley session start`, `talk`, …: what follows in the cell belongs to the same group.
    const own = words.length > 1 ? words : TOP.has(name) ? [name] : [...groups, name];
    const { code, output } = await program(process.execPath, [CLI, ...own, '--help']).ended;
    expect({ name, code }).toEqual({ name, code: 0 });
    expect(output).toContain(`Usage: parley ${own.join(' ')}`);
  }
});
const TOP = new Set(['serve', 'simulator', 'turn', 'agents', 'execute', 'doctor']);

test('the program compiles under strict and answers a call', async () => {
  const [source = ''] = blocks('ts');
  const project = join(folder, 'agent');
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '@parley'), { recursive: true });
  const session = packages().find(({ name }) => name === '@parley/session')?.folder ?? '';
  symlinkSync(join(root, session), join(modules, '@parley', 'session'), 'dir');
  symlinkSync(join(root, session, 'node_modules', 'zod'), join(modules, 'zod'), 'dir');
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  writeFileSync(join(project, 'agent.ts'), source);
  const options = { strict: true, module: 'nodenext', target: 'es2024', outDir: 'out', types: [] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['agent.ts'] }));
  expect(await program(bin('tsc'), ['-p', project]).ended).toEqual({ code: 0, output: '' });

  const args = ['serve', '--port', '0', '--data', ':memory:', '--with-simulator'];
  const server = program(process.execPath, [CLI, ...args]);
  const [PARLEY_URL] = await server.prints(/^http:\/\/127\.0\.0\.1:\d+$/m);
  const agent = program(process.execPath, [join(project, 'out', 'agent.js')], { PARLEY_URL });
  const parley = (...words: string[]) => program(process.execPath, [CLI, ...words], { PARLEY_URL }).ended;
  await expect.poll(async () => (await parley('agents')).output, { timeout: 20_000 }).toContain('echo.voice');

  const talk = await parley('session', 'talk', 'echo.voice', '--text', 'hello');
  expect(talk).toMatchObject({ code: 0 });
  expect(talk.output).toContain('You said: hello');
  const called = await parley('execute', 'echo.repeat', '--in', '{"text":"hello"}');
  expect(called.output).toContain('You said: hello');

  for (const { child, ended } of [agent, server]) {
    child.kill('SIGTERM');
    await ended;
  }
});

test('Ctrl-C stops npm start, with exit code 0', async () => {
  demo.child.kill('SIGINT');
  expect(await demo.ended).toMatchObject({ code: 0 });
  await expect(fetch(`${url}/health`)).rejects.toThrow('fetch failed');
});

test('every page that it leads to is there', () => {
  const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link ?? '');
  expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([]);
});
