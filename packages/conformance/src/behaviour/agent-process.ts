// A testee agent as a process: started, told to go, killed.

import { type ChildProcess, spawn } from 'node:child_process';
import type { TesteeCommand } from '../testee.ts';

/** What is kept of stderr, to be shown when a case fails. */
const STDERR_CHARS_MAX = 4_000;

export class AgentProcess implements AsyncDisposable {
  /** The exit code, or the name of the signal; or why it could not be started. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  #stderr = '';
  #gone = false;

  constructor({ command, args, cwd }: TesteeCommand, env: Record<string, string>) {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    const exited = Promise.withResolvers<number | string>();
    child.on('error', (error) => exited.resolve(error.message));
    child.on('close', (code, signal) => exited.resolve(code ?? signal ?? 'unknown'));
    this.exited = exited.promise.then((how) => {
      this.#gone = true;
      return how;
    });
  }

  get gone(): boolean {
    return this.#gone;
  }

  /** The end of what it wrote to stderr. */
  get stderr(): string {
    return this.#stderr;
  }

  signal(name: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#gone) this.signal('SIGKILL');
    await this.exited;
  }
}
