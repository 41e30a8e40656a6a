// An agent of any language as a process: started, ready, looked at, ended.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ProgramCommand {
  command: string;
  args: string[];
}

const READY_MS = 300_000;

export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when it has printed `ready`. @throws Error when it ends instead, or takes five minutes. */
  static async start({ command, args }: ProgramCommand, env: Record<string, string>): Promise<Program> {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const program = new Program(child);
    const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS);
    try {
      const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
      const ended = once(child, 'exit').then(([code, signal]) => {
        throw new Error(`${command} ${args.join(' ')} ended with ${signal ?? code} before it was ready`);
      });
      const ready = new Promise<void>((resolve) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (line === 'ready') resolve();
        });
      });
      // Whichever loses the race is looked at no more.
      failed.catch(() => {});
      ended.catch(() => {});
      await Promise.race([ready, failed, ended]);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** What it holds of the machine's memory. */
  rssBytes(): number {
    const { pid } = this.#child;
    const status = `/proc/${pid}/status`;
    const kib = existsSync(status)
      ? /^VmRSS:\s+(\d+)/m.exec(readFileSync(status, 'utf8'))?.[1]
      : spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
    if (!kib) throw new Error(`the memory of process ${pid} cannot be read`);
    return Number(kib) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
