import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { Repeats } from './repeats.ts';

const claim = (key: string, fingerprint = 'f', scope = 'say:key_1') => ({ scope, key, fingerprint });

test('a request without a key runs every time', async () => {
  const repeats = new Repeats();
  let runs = 0;
  const run = async (): Promise<number> => (runs += 1);
  expect([await repeats.once(undefined, run), await repeats.once(undefined, run)]).toEqual([1, 2]);
  expect(repeats.size).toBe(0);
});

test('the same key and request is the first one, while it runs and afterwards', async () => {
  const repeats = new Repeats();
  const answer = Promise.withResolvers<string>();
  let runs = 0;
  const run = (): Promise<string> => {
    runs += 1;
    return answer.promise;
  };
  const both = [repeats.once(claim('k'), run), repeats.once(claim('k'), run)];
  answer.resolve('said');
  expect(await Promise.all(both)).toEqual(['said', 'said']);
  expect(await repeats.once(claim('k'), run)).toBe('said');
  expect(runs).toBe(1);
});

test('the same key and another request is refused, and changes nothing', async () => {
  const repeats = new Repeats();
  await repeats.once(claim('k'), async () => 1);
  await expect(repeats.once(claim('k', 'other'), async () => 2)).rejects.toMatchObject({
    code: 'already_exists',
    retryable: false,
  });
  expect(await repeats.once(claim('k'), async () => 3)).toBe(1);
});

test('keys of another kind or another caller are other keys', async () => {
  const repeats = new Repeats();
  const scopes = ['say:key_1', 'inject:key_1', 'say:key_2'];
  const results = scopes.map((scope) => repeats.once(claim('k', scope, scope), async () => scope));
  expect(await Promise.all(results)).toEqual(scopes);
});

test('who waits for a request that fails hears why, and its key may be used again, for another request too', async () => {
  const repeats = new Repeats();
  const answer = Promise.withResolvers<number>();
  const both = [1, 2].map(() => repeats.once(claim('k'), () => answer.promise));
  answer.reject(new ParleyError('unavailable', 'not now'));
  for (const one of both) await expect(one).rejects.toMatchObject({ code: 'unavailable' });
  expect(repeats.size).toBe(0);
  expect(await repeats.once(claim('k', 'other'), async () => 2)).toBe(2);
});

test('the latest keys are kept, and none whose request runs is forgotten', async () => {
  const repeats = new Repeats(2);
  const slow = Promise.withResolvers<string>();
  const waiting = repeats.once(claim('slow'), () => slow.promise);
  await repeats.once(claim('a'), async () => 'a');
  await repeats.once(claim('b'), async () => 'b');
  expect(repeats.size).toBe(2);
  // `a` was the oldest that had ended.
  expect(await repeats.once(claim('b'), async () => 'again')).toBe('b');
  const second = Promise.withResolvers<string>();
  const other = repeats.once(claim('c'), () => second.promise);
  await expect(repeats.once(claim('d'), async () => 'd')).rejects.toMatchObject({
    code: 'resource_exhausted',
    retryable: true,
    details: { limit: 2, current: 2 },
  });
  slow.resolve('slow');
  second.resolve('c');
  expect(await Promise.all([waiting, other])).toEqual(['slow', 'c']);
  expect(await repeats.once(claim('d'), async () => 'd')).toBe('d');
});
