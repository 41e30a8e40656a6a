import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openSqliteStore } from './sqlite-store.ts';
import { anExecution, describeStore } from './store.test.suite.ts';
import { StoreThread } from './store-thread.ts';

const root = mkdtempSync(join(tmpdir(), 'parley-store-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;
const fresh = (): string => join(root, `${made++}`);

describeStore('in memory', (options) => openSqliteStore({ directory: ':memory:', ...options }));
describeStore('in a directory', (options) => openSqliteStore({ directory: fresh(), ...options }));

const CHILD = fileURLToPath(new URL('./store.test.crash-child.ts', import.meta.url));

test('after kill -9 every acknowledged unit is there, and none is half there', { timeout: 60_000 }, async () => {
  const directory = fresh();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, [CHILD, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const stop_at = acknowledged.size + 200 + Math.floor(Math.random() * 2_000);
    for await (const id of createInterface({ input: child.stdout })) {
      acknowledged.add(id);
      if (acknowledged.size === stop_at) child.kill('SIGKILL');
    }
    await exited;
    const db = new DatabaseSync(join(directory, 'parley.db'));
    const whole = new Set(
      db
        .prepare('SELECT execution_id FROM executions WHERE execution_id IN (SELECT session_id FROM events)')
        .all()
        .map((row) => row['execution_id']),
    );
    const { executions } = db.prepare('SELECT count(*) AS executions FROM executions').get() as { executions: number };
    const { logs } = db.prepare('SELECT count(DISTINCT session_id) AS logs FROM events').get() as { logs: number };
    db.close();
    expect([...acknowledged].filter((id) => !whole.has(id))).toEqual([]);
    expect([executions, logs]).toEqual([whole.size, whole.size]);
  }
});

test('a directory has one server; the refusal names its process, and a dead one holds nothing', async () => {
  const directory = fresh();
  const store = await openSqliteStore({ directory });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  const own = expect.stringContaining(`process ${process.pid}`);
  await expect(openSqliteStore({ directory })).rejects.toMatchObject({ code: 'failed_precondition', message: own });
  await store.close();

  const child = spawn(process.execPath, [CHILD, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  const message = expect.stringContaining(`process ${child.pid}`);
  await expect(openSqliteStore({ directory })).rejects.toMatchObject({ code: 'failed_precondition', message });
  child.kill('SIGKILL');
  await exited;
  await (await openSqliteStore({ directory })).close();
});

test('what was written is there after close and open', async () => {
  const directory = fresh();
  const execution = anExecution({ input: 1 });
  const store = await openSqliteStore({ directory });
  await store.commit([{ op: 'execution.insert', execution }]);
  await store.close();
  const again = await openSqliteStore({ directory });
  expect(await again.unfinishedExecutions()).toEqual([execution]);
  await again.close();
});

test('a database of a newer server and a file that is no database are refused', async () => {
  const newer = fresh();
  await (await openSqliteStore({ directory: newer })).close();
  const db = new DatabaseSync(join(newer, 'parley.db'));
  db.exec('PRAGMA user_version = 999');
  db.close();
  const message = expect.stringContaining('version 999');
  await expect(openSqliteStore({ directory: newer })).rejects.toMatchObject({ code: 'failed_precondition', message });

  const damaged = fresh();
  await (await openSqliteStore({ directory: damaged })).close();
  writeFileSync(join(damaged, 'parley.db'), 'this is not a database at all'.repeat(500));
  await expect(openSqliteStore({ directory: damaged })).rejects.toMatchObject({ code: 'data_loss' });
});

test('a thread that dies refuses what waits with unavailable and says so', async () => {
  const thread = await StoreThread.open({ role: 'writer', directory: ':memory:', database_bytes_max: 1e9 });
  const broken = new Promise((resolve) => {
    thread.onBroken = resolve;
  });
  const read = thread.read('keys');
  const killed = thread.kill();
  await expect(read).rejects.toMatchObject({ code: 'unavailable' });
  expect(await broken).toMatchObject({ code: 'unavailable' });
  await killed;
  await expect(thread.read('keys')).rejects.toMatchObject({ code: 'unavailable' });
});
