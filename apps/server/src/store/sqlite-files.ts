// The directory of the embedded database: who may use it, and how its files are opened.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreFailure } from './sqlite-errors.ts';

const PAGE_BYTES = 4096;
const BUSY_MS = 5_000;

/** Holding the directory: nobody else can, until `release`, or until this process ends in whatever way. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Makes the directory (mode 0700) and takes it for this process.
 *
 * The lock is an exclusive SQLite transaction on a file of its own. The system drops it with the process, so there is no
 * stale lock to judge and no race in taking one over. The process id stands in a second file, for the error message only:
 * closing any other handle of the locked file would drop the lock of this process.
 */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const pid_file = join(directory, 'parley.pid');
  const lock = new DatabaseSync(join(directory, 'parley.lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!(error instanceof Error && 'errcode' in error && error.errcode === 5)) throw error;
    throw new StoreFailure(
      'failed_precondition',
      `${directory} is in use by ${holder(pid_file)}; one server per directory: stop that one, or give this one a directory of its own`,
    );
  }
  writeFileSync(pid_file, `${process.pid}\n`, { mode: 0o600 });
  return {
    release() {
      rmSync(pid_file, { force: true });
      lock.close();
    },
  };
}

function holder(pid_file: string): string {
  try {
    return `process ${readFileSync(pid_file, 'utf8').trim()}`;
  } catch {
    // The holder has the lock and has not written its number yet.
    return 'another process';
  }
}

export function openWriter(directory: string, database_bytes_max: number): DatabaseSync {
  const memory = directory === ':memory:';
  const db = new DatabaseSync(memory ? ':memory:' : join(directory, 'parley.db'), { timeout: BUSY_MS });
  db.exec('PRAGMA journal_mode = WAL');
  // FULL syncs the log at every commit: an answered unit survives the loss of power, not only of the process.
  db.exec('PRAGMA synchronous = FULL');
  // A checkpoint every 16 MiB of log instead of every 4: fewer commits have to wait for one.
  db.exec('PRAGMA wal_autocheckpoint = 4096');
  db.exec('PRAGMA journal_size_limit = 67108864');
  db.exec('PRAGMA cache_size = -65536');
  db.exec('PRAGMA temp_store = MEMORY');
  db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(database_bytes_max / PAGE_BYTES))}`);
  return db;
}

export function openReader(directory: string): DatabaseSync {
  const db = new DatabaseSync(join(directory, 'parley.db'), { readOnly: true, timeout: BUSY_MS });
  db.exec('PRAGMA query_only = ON');
  db.exec('PRAGMA cache_size = -65536');
  return db;
}
