// Serving as a process: the signals of the machine become a drain, and then a stop.

import type { AgentHandle } from './agent.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Resolves when the agent stopped. The first signal drains it, the second stops it, the third does not wait. */
export async function serveUntilSignal(handle: AgentHandle, signal?: AbortSignal): Promise<void> {
  let told = false;
  const leave = (): void => {
    // The end is awaited below; these promises are the same one.
    void (told ? handle.stop() : handle.drain()).catch(() => undefined);
    told = true;
  };
  for (const name of SIGNALS) process.on(name, leave);
  signal?.addEventListener('abort', leave, { once: true });
  if (signal?.aborted) leave();
  try {
    await handle.stopped;
  } finally {
    for (const name of SIGNALS) process.off(name, leave);
    signal?.removeEventListener('abort', leave);
  }
}
