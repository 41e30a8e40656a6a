import { expect, test } from 'vitest';
import { Backoff } from './backoff.ts';

test('the ceiling doubles from 250 ms to 30 s, and the wait lies anywhere below it', () => {
  const highest = new Backoff({ random: () => 1 });
  expect(Array.from({ length: 9 }, () => highest.next())).toEqual([
    250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
  ]);
  const lowest = new Backoff({ random: () => 0 });
  expect([lowest.next(), lowest.next()]).toEqual([0, 0]);
});

test('only a connection that lived five seconds begins again', () => {
  const backoff = new Backoff({ random: () => 1 });
  backoff.next();
  backoff.next();
  backoff.lived(4_999);
  expect(backoff.next()).toBe(1000);
  backoff.lived(5_000);
  expect(backoff.next()).toBe(250);
});

test('a wait that the peer asked for is kept', () => {
  const backoff = new Backoff({ random: () => 0 });
  expect(backoff.next(2_000)).toBe(2_000);
});

test('limits that cannot be are refused', () => {
  expect(() => new Backoff({ minMs: 0 })).toThrow('0 < minMs <= maxMs');
  expect(() => new Backoff({ minMs: 500, maxMs: 100 })).toThrow('got 500 and 100');
});
