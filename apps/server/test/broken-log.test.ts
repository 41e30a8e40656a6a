// A session whose log can no longer be written: it is cut, everybody who waits for it hears so, and the server goes on.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Agent, type RealtimeSession } from '@parley/session';
import { expect, test } from 'vitest';
import { House, TEXT } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

/** A house with a database on the disk, and what makes every later entry of a log fail. */
async function houseWithDisk(): Promise<{ house: House; breakDisk: () => void } & AsyncDisposable> {
  await using opening = new AsyncDisposableStack();
  const data = await mkdtemp(join(tmpdir(), 'parley-broken-log-'));
  opening.defer(() => rm(data, { recursive: true, force: true }));
  const house = opening.use(await House.open({ data }));
  const breakDisk = (): void => {
    const db = new DatabaseSync(join(data, 'parley.db'), { timeout: 5000 });
    db.exec('ALTER TABLE events RENAME TO events_gone');
    db.close();
  };
  const owned = opening.move();
  return { house, breakDisk, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Rejections that nobody handled: any of them ends a server. */
function unhandled(): { reasons: unknown[] } & Disposable {
  const reasons: unknown[] = [];
  const keep = (reason: unknown): void => void reasons.push(reason);
  process.on('unhandledRejection', keep);
  return { reasons, [Symbol.dispose]: () => void process.off('unhandledRejection', keep) };
}

test('words whose entry the disk refuses are refused to who asked, and are nobody else’s failure', async () => {
  await using disk = await houseWithDisk();
  using lost = unhandled();
  const { house } = disk;
  await house.serve(supportAgent().agent);
  const { session } = await house.call('support.voice');
  await house.api.until(session.session_id, 'provider.connected');
  disk.breakDisk();
  const path = `/api/v1/sessions/${session.session_id}`;
  expect(await house.api.refused('POST', `${path}/say`, { text: 'hello' })).toMatchObject({ status: 500 });
  expect((await house.api.call('GET', '/health')).status).toBe(200);
  expect(lost.reasons).toEqual([]);
});

test('a tool call whose entry the disk refuses is refused to who asked', async () => {
  await using disk = await houseWithDisk();
  using lost = unhandled();
  const { house } = disk;
  const support = supportAgent();
  await house.serve(support.agent);
  const { session } = await house.call('support.voice');
  await house.api.until(session.session_id, 'provider.connected');
  disk.breakDisk();
  const path = `/api/v1/sessions/${session.session_id}/tools/find_order`;
  expect(await house.api.refused('POST', path, { input: { order: '1' } })).toMatchObject({ status: 500 });
  expect((await house.api.call('GET', '/health')).status).toBe(200);
  expect(support.found).toEqual([]);
  expect(lost.reasons).toEqual([]);
});

test('a reader of the log of a session that was cut is let go', async () => {
  await using disk = await houseWithDisk();
  const { house } = disk;
  await house.serve(supportAgent().agent);
  const { session } = await house.call('support.voice');
  await house.api.until(session.session_id, 'provider.connected');
  const path = `/api/v1/sessions/${session.session_id}`;
  const read = house.api.stream(`${path}/events`);
  expect((await read.next()).value).toMatchObject({ event: 'session.created' });
  disk.breakDisk();
  await house.api.refused('POST', `${path}/say`, { text: 'hello' });
  const types: string[] = [];
  for await (const { event } of read) types.push(event);
  expect(types).toContain('provider.connected');
  expect(types).not.toContain('say.requested');
});

test('a turn that waits for its answer in a session that is cut fails at once', async () => {
  await using disk = await houseWithDisk();
  const { house } = disk;
  const support = supportAgent({ transport: 'audio_turns' });
  await house.serve(support.agent);
  const session = await house.start('support.voice');
  const path = `/api/v1/sessions/${session.session_id}`;
  const answered = house.api.refused('POST', `${path}/turns`, { text: 'slow' });
  await support.slow;
  disk.breakDisk();
  await house.api.refused('POST', `${path}/inject`, { text: 'hello', respond: false });
  expect(await answered).toMatchObject({ status: 500, message: expect.stringContaining('the store failed') });
});

test('the handler of a session that is cut is told that it is over, and its agent is free', async () => {
  await using disk = await houseWithDisk();
  using lost = unhandled();
  const { house } = disk;
  const given = Promise.withResolvers<RealtimeSession>();
  const turns: string[] = [];
  const agent = new Agent('desk').session('voice', TEXT, async (session) => {
    given.resolve(session);
    for await (const turn of session) turns.push(turn.text);
  });
  const handle = await house.serve(agent);
  const { session } = await house.call('desk.voice');
  const { signal } = await given.promise;
  await house.api.until(session.session_id, 'handler.attached');
  disk.breakDisk();
  await house.api.refused('POST', `/api/v1/sessions/${session.session_id}/say`, { text: 'hello' });
  if (!signal.aborted) await once(signal, 'abort', { signal: AbortSignal.timeout(5000) });
  expect(signal.reason).toMatchObject({
    code: 'not_found',
    message: `session ${session.session_id} is cut: its log cannot be written`,
  });
  await expect.poll(() => handle.status.sessions).toBe(0);
  expect((await house.api.get<{ links: object[] }>('/api/v1/agents/desk')).links).toMatchObject([{ sessions: 0 }]);
  expect(turns).toEqual([]);
  expect(lost.reasons).toEqual([]);
});
