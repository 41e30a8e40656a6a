// New projects as users make them: `npm create parley` from the packed package, in a folder of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { Tarball } from './published.ts';
import { temporary } from './workspace.ts';

export type Env = Record<string, string>;

/** How long a program may take to be there. */
export const START_MS = 60_000;

/** Makes a project named front-desk. @returns its folder. */
export async function created(tarballs: readonly Tarball[], language: string, env: Env): Promise<string> {
  const parent = temporary(`new-${language}`);
  const { path } = tarballs.find(({ pkg }) => pkg.name === 'create-parley') as Tarball;
  // What `npm create parley front-desk` runs.
  const command = [
    'npm',
    'exec',
    '--yes',
    `--package=${path}`,
    '--',
    'create-parley',
    'front-desk',
    '--language',
    language,
  ];
  await done('npm create parley', parent, env, command, 'Next:');
  return join(parent, 'front-desk');
}

/** Runs a command that must end well, and say something. */
export async function done(
  what: string,
  cwd: string,
  env: Env,
  command: string[],
  wanted = '',
  input = '',
): Promise<void> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const output = outputOf(child);
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 || !output().includes(wanted)) {
    throw new Error(`${what} ended with ${code}${wanted && `, and should have said '${wanted}'`}:\n${output()}`);
  }
}

export function outputOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

/** What npm, and a program that it installed, are given: nothing of what a Parley may be set up with on this machine. */
export function npmEnv(url: string): Env {
  const { PATH = '', HOME = '' } = process.env;
  // A file: a shell keeps no variable of the name `npm_config_@parley:registry`.
  const npmrc = join(temporary('npmrc'), 'npmrc');
  writeFileSync(npmrc, `@parley:registry=${url}\n`);
  return {
    PATH,
    HOME,
    PARLEY_URL: '',
    PARLEY_SERVE_KEY: '',
    npm_config_globalconfig: npmrc,
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_loglevel: 'error',
    npm_config_update_notifier: 'false',
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
