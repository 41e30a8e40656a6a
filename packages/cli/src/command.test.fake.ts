// The real command in a process of its own, and a server that says one thing.

import { spawn } from 'node:child_process';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  /** What is piped in; without it stdin is /dev/null. */
  stdin?: string;
}

function environment(env: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { PARLEY_URL: _url, PARLEY_KEY: _key, ...rest } = process.env;
  return { ...rest, ...env };
}

/** Runs `parley` with these arguments to its end. */
export async function parley(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: environment(options.env),
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin?.end(options.stdin);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

/** Runs a shell line in which `parley` is the command under test. */
export async function shell(line: string, env: Record<string, string> = {}): Promise<Ran> {
  const script = `set -o pipefail; parley() { "${process.execPath}" "${MAIN}" "$@"; }; ${line}`;
  const child = spawn('bash', ['-c', script], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

export interface Background {
  /** The first line of stdout. */
  firstLine: string;
  stderr: () => string;
  /** Sends a signal, and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs `parley` until it is stopped; resolves once it printed a line. */
export async function background(args: readonly string[], options: RunOptions = {}): Promise<Background> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: environment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const firstLine = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const end = stdout.indexOf('\n');
      if (end >= 0) resolve(stdout.slice(0, end));
    });
    void ended.then((code) => reject(new Error(`parley ${args.join(' ')} ended with ${code}: ${stderr}`)));
  });
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return ended;
  };
  return {
    firstLine,
    stderr: () => stderr,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) await stop('SIGKILL');
    },
  };
}

/** A server of the test's own, on a free port. */
export async function serverThat(answers: RequestListener): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(answers);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An address where nobody listens. */
export async function deadUrl(): Promise<string> {
  const server = await serverThat(() => {});
  await server[Symbol.asyncDispose]();
  return server.url;
}
