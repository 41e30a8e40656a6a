import type { EventRecord, SessionEvent } from '@parley/core';
import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { SessionLog } from './log.ts';

const INJECTED: SessionEvent = { type: 'input.injected', text: 'x', respond: false, by: 'api' };

/** A store whose disk fails when it is told to. */
async function failing(): Promise<{ store: Store; fail: () => void }> {
  const store = await openSqliteStore({ directory: ':memory:' });
  let broken = false;
  const commit: Store['commit'] = async (unit) => {
    if (broken) throw new ParleyError('unavailable', 'the disk failed');
    return store.commit(unit);
  };
  const failable = new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return commit;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
  return { store: failable, fail: () => (broken = true) };
}

test('what the disk refused is told to nobody, and the log takes nothing after it', async () => {
  const { store, fail } = await failing();
  const told: EventRecord[] = [];
  const broken: unknown[] = [];
  const log = new SessionLog({
    session_id: 'sess_1',
    store,
    now: () => 1,
    perform: () => undefined,
    broken: (error) => broken.push(error),
  });
  log.subscribe((record) => told.push(record));
  await log.append(INJECTED);
  fail();
  const refused = await Promise.allSettled([log.append(INJECTED), log.append(INJECTED)]);
  await expect(log.append(INJECTED)).rejects.toMatchObject({ code: 'unavailable' });
  expect(refused.map((one) => one.status)).toEqual(['rejected', 'rejected']);
  expect(told.map((record) => record.seq)).toEqual([1]);
  // Whoever runs the session is told once.
  expect(broken).toHaveLength(1);
  await store.close();
});
