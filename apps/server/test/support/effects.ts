// An agent as a process of its own, whose function leaves a line in a file each time it runs: what was done stays done,
// whoever dies. A run ends when it is let go.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./effects.main.ts', import.meta.url));

export class EffectsAgent implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #file: string;

  private constructor(child: ChildProcess, file: string) {
    this.#child = child;
    this.#file = file;
  }

  /** @param file where the effects are written; a second agent of the same file goes on with it. */
  static async start(url: string, file: string): Promise<EffectsAgent> {
    const child = fork(MAIN, {
      env: { PARLEY_URL: url, EFFECTS: file },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new EffectsAgent(child, file);
  }

  /** The effects so far, in order. */
  async effects(): Promise<string[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    return text.split('\n').filter((line) => line !== '');
  }

  /** Lets these runs end, or all that there are and will be. */
  release(names: readonly string[] | 'all'): void {
    this.#child.send(names);
  }

  /** It stays, and does nothing: not even its sockets are closed. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
