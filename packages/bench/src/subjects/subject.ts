// What is measured runs in a process of its own; this side starts it, asks it what it used, and ends it.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Used {
  cpu_us: number;
  rss_bytes: number;
}

export class Subject {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static start(
    name: 'parley' | 'ws-pipe' | 'ws-echo' | 'splice' | 'http' | 'agent' | 'rtc-echo' | 'responses',
    env: Record<string, string> = {},
  ): Promise<Subject> {
    const child = fork(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), {
      execArgv: ['--expose-gc'],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return new Promise((resolve, reject) => {
      child.once('message', (message: { port: number }) => resolve(new Subject(child, message.port)));
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code} before it was ready`)));
    });
  }

  /** CPU that it used since it began, and its memory; with `gc` after a collection. */
  used(gc = false): Promise<Used> {
    return new Promise((resolve) => {
      this.#child.once('message', (used: Used) => resolve(used));
      this.#child.send(gc ? 'used-gc' : 'used');
    });
  }

  async stop(): Promise<void> {
    this.#child.removeAllListeners('exit');
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** The other side: call this in the subject's process once it listens. */
export function ready(port: number): void {
  process.on('message', (what) => {
    // The flavour that also gives empty pages back: what is asked for is what sessions hold, not the garbage of their start.
    if (what === 'used-gc') globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    const { user, system } = process.cpuUsage();
    process.send?.({ cpu_us: user + system, rss_bytes: process.memoryUsage().rss } satisfies Used);
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.({ port });
}
