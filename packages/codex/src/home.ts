// The private CODEX_HOME of a factory. Conversations are written there, so it goes when the factory does; one whose process was
// killed is taken away by the next factory.

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { homedir, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

// With the machine's name: folders of a home that containers share belong to processes that are not seen from here.
const PREFIX = `codex-${hostname().replace(/[^A-Za-z0-9]/g, '_')}-`;

/** Not in the system's folder for temporary files, where Codex keeps its helpers from working. */
function parent(): string {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(cache, 'parley');
}

export async function makeHome(): Promise<string> {
  let folder = parent();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch {
    // A machine without a home of its own: Codex warns, and works.
    folder = tmpdir();
  }
  await removeStale(folder);
  return mkdtemp(join(folder, `${PREFIX}${process.pid}-`));
}

export function removeHome(home: string): Promise<void> {
  return rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
    if (!Number.isInteger(pid) || alive(pid)) continue;
    // One that another user left in a folder of all users stays: it is no reason not to start.
    await removeHome(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
    });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
