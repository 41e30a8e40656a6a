// What is asked of a session twice, because the answer was lost, is done once.

import type { SayResponse, SessionResource } from '@parley/core';
import { expect, test } from 'vitest';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

const KEY = 'an-admin-key-of-the-test';

async function opened(): Promise<{ house: House; path: string; count: (type: string) => Promise<number> }> {
  const house = await House.open({ keys: [KEY, 'another-key-of-the-test'] });
  await house.serve(supportAgent().agent);
  const { session_id } = await house.start('support.voice');
  const count = async (type: string): Promise<number> =>
    (await house.api.events(session_id)).filter((event) => event.type === type).length;
  return { house, path: `/api/v1/sessions/${session_id}`, count };
}

test('a say that is repeated is one say: while it is spoken, and when it was', async () => {
  const { house, path, count } = await opened();
  await using _ = house;
  const key = { 'idempotency-key': 'welcome' };
  const say = { text: 'Welcome.' };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => house.api.post<SayResponse>(`${path}/say`, say, key)),
  );
  expect(answers[0]).toMatchObject({ interrupted: false, spoken_text: 'Welcome.' });
  for (const one of [...answers, await house.api.post(`${path}/say`, say, key)]) expect(one).toEqual(answers[0]);
  expect(await count('say.requested')).toBe(1);
  expect(await house.api.refused('POST', `${path}/say`, { text: 'Goodbye.' }, key)).toMatchObject({
    status: 409,
    code: 'already_exists',
  });
  expect(await count('say.requested')).toBe(1);
  // Without the key, under another one, or of somebody else it is another request.
  await house.api.post(`${path}/say`, say);
  await house.api.post(`${path}/say`, say, { 'idempotency-key': 'again' });
  await house.api.as('another-key-of-the-test').post(`${path}/say`, say, key);
  expect(await count('say.requested')).toBe(4);
});

test('a say whose caller is gone is found by whoever asks again', async () => {
  const { house, path, count } = await opened();
  await using _ = house;
  const key = { 'idempotency-key': 'cut-off' };
  const gone = new AbortController();
  const headers = { ...key, authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const lost = fetch(`${house.server.url}${path}/say`, {
    method: 'POST',
    headers,
    body: '{"text":"Welcome."}',
    signal: gone.signal,
  });
  await expect.poll(() => count('say.requested')).toBe(1);
  gone.abort();
  await lost.catch(() => undefined);
  expect(await house.api.post(`${path}/say`, { text: 'Welcome.' }, key)).toMatchObject({ spoken_text: 'Welcome.' });
  expect(await count('say.requested')).toBe(1);
});

test('a text that is put in twice under one key is there once', async () => {
  const { house, path, count } = await opened();
  await using _ = house;
  const key = { 'idempotency-key': 'note' };
  const note = { text: 'The order is late.', respond: false };
  expect(await house.api.post(`${path}/inject`, note, key)).toEqual({});
  expect(await house.api.post(`${path}/inject`, note, key)).toEqual({});
  expect(await house.api.refused('POST', `${path}/inject`, { ...note, respond: true }, key)).toMatchObject({
    status: 409,
    code: 'already_exists',
  });
  expect(await count('input.injected')).toBe(1);
  // The key of a text is none of a say.
  await house.api.post(`${path}/say`, { text: 'Sorry.' }, key);
  expect(await count('say.requested')).toBe(1);
});

test('a change that is repeated takes back none that came in between', async () => {
  const { house, path, count } = await opened();
  await using _ = house;
  const key = { 'idempotency-key': 'narrow' };
  const names = ({ tools }: SessionResource): string[] => tools.map(({ name }) => name);
  const two = { tools: ['find_order', 'slow'] };
  expect(names(await house.api.post(`${path}/update`, two, key))).toEqual(['find_order', 'slow']);
  await house.api.post(`${path}/update`, { tools: ['slow'] });
  expect(names(await house.api.post(`${path}/update`, two, key))).toEqual(['slow']);
  expect(await count('session.updated')).toBe(2);
});

test('a session that is ended twice ended once, and under the key of before nothing more is said', async () => {
  const { house, path, count } = await opened();
  await using _ = house;
  const key = { 'idempotency-key': 'bye' };
  await house.api.post(`${path}/say`, { text: 'Bye.' }, key);
  const closed = await house.api.post(`${path}/close`, {}, key);
  expect(await house.api.post(`${path}/close`, {}, key)).toEqual(closed);
  expect(await count('session.closed')).toBe(1);
  expect(await house.api.refused('POST', `${path}/say`, { text: 'Bye.' }, key)).toMatchObject({
    code: 'failed_precondition',
  });
});
