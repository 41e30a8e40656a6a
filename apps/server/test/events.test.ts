// The log of a session as JSON pages and as an event stream.

import type { EventList, EventRecord } from '@parley/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StreamEntry } from './support/api.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

let house: House;
beforeAll(async () => {
  house = await House.open({ limits: { event_streams_max: 2 } });
  await house.serve(supportAgent().agent);
});
afterAll(() => house[Symbol.asyncDispose]());

async function called(): Promise<string> {
  const { session_id } = await house.start('support.voice');
  for (const order of ['1', '2']) {
    await house.api.post(`/api/v1/sessions/${session_id}/tools/find_order`, { input: { order } });
  }
  return session_id;
}

async function read(path: string, headers?: Record<string, string>): Promise<StreamEntry[]> {
  const entries: StreamEntry[] = [];
  for await (const entry of house.api.stream(path, headers)) entries.push(entry);
  return entries;
}

test('the log is numbered from 1 without gaps, and pages follow each other', async () => {
  const session_id = await called();
  const all = await house.api.events(session_id);
  expect(all.map((event) => event.seq)).toEqual(all.map((_, i) => i + 1));
  expect(all[0]).toMatchObject({ type: 'session.created', session_id });
  const path = `/api/v1/sessions/${session_id}/events`;
  const first = await house.api.get<EventList>(`${path}?limit=3`);
  expect(first).toMatchObject({ has_more: true, last_seq: all.length });
  const rest = await house.api.get<EventList>(`${path}?after=3`);
  expect(rest.has_more).toBe(false);
  expect([...first.events, ...rest.events]).toEqual(all);
  expect(await house.api.get(`${path}?after=${all.length}`)).toEqual({
    events: [],
    last_seq: all.length,
    has_more: false,
  });
});

test('a stream sends what was, then what comes, and ends with the session', async () => {
  const session_id = await called();
  const path = `/api/v1/sessions/${session_id}/events`;
  const before = await house.api.events(session_id);
  const entries: StreamEntry[] = [];
  for await (const entry of house.api.stream(path)) {
    entries.push(entry);
    // Everything stored was read: what follows is live.
    if (entries.length === before.length) await house.api.post(`/api/v1/sessions/${session_id}/close`);
  }
  const all = await house.api.events(session_id);
  expect(all.length).toBeGreaterThan(before.length);
  expect(entries.map((entry) => entry.data)).toEqual(all);
  expect(entries.map((entry) => [Number(entry.id), entry.event])).toEqual(all.map(({ seq, type }) => [seq, type]));
  // A log that is complete is sent whole, and the stream ends.
  expect((await read(path)).map((entry) => entry.data)).toEqual(all);
});

test('a reader that comes back is sent what it missed, by `after` or by Last-Event-ID', async () => {
  const session_id = await called();
  await house.api.post(`/api/v1/sessions/${session_id}/close`);
  await house.api.until(session_id, 'session.closed');
  const path = `/api/v1/sessions/${session_id}/events`;
  const all = await house.api.events(session_id);
  const seqs = (entries: StreamEntry[]) => entries.map((entry) => (entry.data as EventRecord).seq);
  const missed = all.slice(4).map((event) => event.seq);
  expect(seqs(await read(`${path}?after=4`))).toEqual(missed);
  expect(seqs(await read(path, { 'last-event-id': '4' }))).toEqual(missed);
  // A browser repeats the address it was given: where it is now stands in the header.
  expect(seqs(await read(`${path}?after=1`, { 'last-event-id': '4' }))).toEqual(missed);
});

test('what is no number is refused, and so is the log of a session that never was', async () => {
  const session_id = await called();
  const path = `/api/v1/sessions/${session_id}/events`;
  for (const query of ['after=-1', 'after=x', 'limit=0', 'limit=1001', 'after=1&after=2']) {
    expect(await house.api.refused('GET', `${path}?${query}`)).toMatchObject({ status: 400, code: 'invalid_argument' });
  }
  const stream = { accept: 'text/event-stream' };
  expect(await house.api.refused('GET', path, undefined, { ...stream, 'last-event-id': 'x' })).toMatchObject({
    code: 'invalid_argument',
  });
  expect(await house.api.refused('GET', '/api/v1/sessions/sess_none/events', undefined, stream)).toMatchObject({
    status: 404,
    code: 'not_found',
  });
});

test('event streams have a limit, and one that ends makes room', async () => {
  const session_id = await called();
  const path = `/api/v1/sessions/${session_id}/events`;
  const streams = [house.api.stream(path), house.api.stream(path)];
  for (const stream of streams) await stream.next();
  const refused = await house.api.refused('GET', path, undefined, { accept: 'text/event-stream' });
  expect(refused).toMatchObject({ status: 429, code: 'resource_exhausted', details: { limit: 2, current: 2 } });
  for (const stream of streams) await stream.return();
  await house.api.post(`/api/v1/sessions/${session_id}/close`);
  await expect.poll(async () => (await read(path)).length).toBeGreaterThan(0);
});

test('the events of an execution tell how it is, then how it ends', async () => {
  const { slow } = await slowExecution();
  const entries: string[] = [];
  for await (const entry of house.api.stream(`/api/v1/executions/${slow.execution_id}/events`)) {
    entries.push(entry.event);
    if (entries.length === 1) await house.api.post(`/api/v1/executions/${slow.execution_id}/cancel`, { reason: 'no' });
  }
  expect(entries[0]).toMatch(/^execution\.(?:queued|running)$/);
  expect(entries.at(-1)).toBe('execution.cancelled');
  expect((await read(`/api/v1/executions/${slow.execution_id}/events`)).map((one) => one.event)).toEqual([
    'execution.cancelled',
  ]);
});

async function slowExecution(): Promise<{ slow: { execution_id: string } }> {
  return { slow: await house.api.post('/api/v1/execute/async/support.slow', {}) };
}
