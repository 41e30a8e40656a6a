// The thread in which SQLite runs: a writer that applies groups, or a reader. A database in memory has one thread for both.

import { parentPort, workerData } from 'node:worker_threads';
import { migrate } from './migrations.ts';
import { wireError } from './sqlite-errors.ts';
import { type DirectoryLock, lockDirectory, openReader, openWriter } from './sqlite-files.ts';
import { type ReadName, SqliteReader } from './sqlite-reader.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { GroupMessage, ReadMessage, WorkerAnswer, WorkerStart } from './wire.ts';

type Message = GroupMessage | ReadMessage | { kind: 'close' };

if (!parentPort) throw new Error('sqlite-worker runs in a worker thread of the store');
const port = parentPort;
const start = workerData as WorkerStart;
const say = (answer: WorkerAnswer): void => port.postMessage(answer);

try {
  serve();
} catch (error) {
  say({ kind: 'refused', error: wireError(error) });
}

function serve(): void {
  const { role, directory, database_bytes_max } = start;
  const memory = directory === ':memory:';
  let lock: DirectoryLock | null = null;
  if (role === 'writer' && !memory) lock = lockDirectory(directory);
  let db;
  try {
    db = role === 'writer' ? openWriter(directory, database_bytes_max) : openReader(directory);
    if (role === 'writer') migrate(db);
  } catch (error) {
    db?.close();
    lock?.release();
    throw error;
  }
  const opened = db;
  const writer = role === 'writer' ? new SqliteWriter(opened) : null;
  const reader = role === 'reader' || memory ? new SqliteReader(opened) : null;

  port.on('message', (message: Message) => {
    switch (message.kind) {
      case 'group':
        if (!writer) throw new Error('a reader was given a group to write');
        say(writer.apply(message));
        break;
      case 'read':
        if (!reader) throw new Error('a writer was given a read');
        try {
          // The name and its arguments come from our own main side, where they are typed.
          const read = reader[message.name as ReadName] as (...args: readonly unknown[]) => unknown;
          say({ kind: 'read', id: message.id, value: read.apply(reader, [...message.args]) });
        } catch (error) {
          say({ kind: 'read', id: message.id, error: wireError(error) });
        }
        break;
      case 'close':
        opened.close();
        lock?.release();
        port.close();
        break;
    }
  });
  say({ kind: 'ready' });
}
