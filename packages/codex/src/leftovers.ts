// Processes that outlive what started them. Codex ends its commands when it ends in good order; one that was killed cannot, and a
// command that made a session of its own escapes it in any case. Codex marks the environment of every command with its
// conversation, and on Linux that can be read back. Elsewhere only the orderly ways are left.

import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';

/** What Codex sets for every command. */
const MARK = 'CODEX_THREAD_ID=';
const ROUND_MS = 10;

/** Ids of the processes that commands of these conversations started and that still run. */
export async function leftovers(conversations: ReadonlySet<string>): Promise<number[]> {
  if (process.platform !== 'linux' || conversations.size === 0) return [];
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map(async (name) => ((await belongs(name, conversations)) ? Number(name) : 0)));
  return found.filter((pid) => pid > 0 && pid !== process.pid);
}

/**
 * Ends them, and waits until they are gone: the kernel takes its time, and one may have started another meanwhile.
 * @returns false when some still run after `withinMs`.
 */
export async function endLeftovers(conversations: ReadonlySet<string>, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const pids = await leftovers(conversations);
    if (pids.length === 0) return true;
    if (performance.now() > deadline) return false;
    for (const pid of pids) kill(pid);
    await setTimeout(ROUND_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function belongs(pid: string, conversations: ReadonlySet<string>): Promise<boolean> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
    const at = environment.startsWith(MARK) ? 0 : environment.indexOf(`\0${MARK}`) + 1;
    if (at === 0 && !environment.startsWith(MARK)) return false;
    const end = environment.indexOf('\0', at);
    return conversations.has(environment.slice(at + MARK.length, end < 0 ? undefined : end));
  } catch {
    // Gone meanwhile, or somebody else's.
    return false;
  }
}
