// The server as a process of its own, for what only a process can show: signals, and sudden death.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Api } from './api.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export class ServerProcess implements AsyncDisposable {
  readonly api: Api;
  readonly url: string;
  /** Resolves with the exit code, or the signal. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #log: string[];

  private constructor(url: string, child: ChildProcess, exited: Promise<number | string>, log: string[]) {
    this.url = url;
    this.#log = log;
    this.api = new Api(url);
    this.exited = exited;
    this.#child = child;
  }

  static async start(data: string, simulator: string, env: Record<string, string> = {}): Promise<ServerProcess> {
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PARLEY_PORT: '0',
        PARLEY_DATA: data,
        PARLEY_SIMULATOR_URL: `${simulator}/v1`,
        PARLEY_LOG_LEVEL: 'silent',
        ...env,
      },
    });
    const log: string[] = [];
    child.stderr.setEncoding('utf8').on('data', (piece: string) => log.push(piece));
    const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
    for await (const url of createInterface(child.stdout)) return new ServerProcess(url, child, exited, log);
    throw new Error(`the server did not start: ${await exited}: ${log.join('')}`);
  }

  /** What it wrote to stderr so far. */
  get log(): string {
    return this.#log.join('');
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }
}
