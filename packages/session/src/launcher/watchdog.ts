// Watches this thread's event loop, and names the session that blocks it.

import { Worker } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { Log } from '../log.ts';

/** What blocked the loop: a session, where one is known, and where in the code. */
export interface Blocked {
  culprit: string | null;
  blocked_ms: number;
  stack: string[];
}

// Beside this file: TypeScript where this is, as Node runs it, and JavaScript once it was built.
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './watchdog-thread.ts' : './watchdog-thread.js',
  import.meta.url,
);

/** Begins to watch; `blocked` is told once the loop turns again. Resolves, once it is watched, with what ends it. */
export async function watchLoop(blockedMs: number, log: Log, blocked: (report: Blocked) => void): Promise<() => void> {
  const beats = new SharedArrayBuffer(4);
  const counter = new Int32Array(beats);
  const beat = setInterval(() => Atomics.add(counter, 0, 1), Math.max(1, blockedMs / 8));
  beat.unref();
  const worker = new Worker(ENTRY, { workerData: { beats, blockedMs }, execArgv: [] });
  worker.unref();
  const { promise: watching, resolve } = Promise.withResolvers<void>();
  worker.on('message', (message: Blocked | 'watching') => {
    if (message === 'watching') resolve();
    else blocked(message);
  });
  worker.on('error', (error) => {
    clearInterval(beat);
    resolve();
    log.warn('the event loop is not watched any more', { message: ParleyError.from(error).message });
  });
  await watching;
  return () => {
    clearInterval(beat);
    void worker.terminate();
  };
}
