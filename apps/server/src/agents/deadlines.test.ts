import { expect, test } from 'vitest';
import { Deadlines } from './deadlines.ts';
import { ManualClock } from './server.test.peer.ts';

test('deadlines are met in order, never early, and at most a grain late', () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock, 20);
  const met: [number, number][] = [];
  const start = clock.now();
  for (const ms of [500, 50, 130, 0, 7_000]) deadlines.add(ms, () => met.push([ms, clock.now() - start]));
  clock.advance(10_000);
  expect(met.map(([ms]) => ms)).toEqual([0, 50, 130, 500, 7000]);
  for (const [ms, at] of met) {
    expect(at).toBeGreaterThanOrEqual(ms);
    expect(at).toBeLessThanOrEqual(ms + 40);
  }
  expect(deadlines.size).toBe(0);
});

test('a deadline that was removed is not met, also by another one of the same moment', () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const met: string[] = [];
  const first = deadlines.add(100, () => {
    met.push('first');
    deadlines.remove(second);
  });
  const second = deadlines.add(100, () => met.push('second'));
  const third = deadlines.add(50, () => met.push('third'));
  deadlines.remove(third);
  clock.advance(1000);
  deadlines.remove(first);
  expect(met).toEqual(['first']);
});

test('a deadline that is set when another is met is met too', () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const met: number[] = [];
  const again = (): void => {
    met.push(clock.now());
    if (met.length < 5) deadlines.add(0, again);
  };
  deadlines.add(0, again);
  clock.advance(1000);
  expect(met).toHaveLength(5);
});

test('after a long sleep everything that is due is met, in order', () => {
  let now = 0;
  let wake = (): void => undefined;
  const clock = {
    now: () => now,
    wall: () => now,
    after: (_: number, run: () => void) => {
      wake = run;
      return { cancel: () => undefined };
    },
  };
  const deadlines = new Deadlines(clock);
  const met: number[] = [];
  for (const ms of [9000, 100, 50_000]) deadlines.add(ms, () => met.push(ms));
  now = 3_600_000;
  wake();
  expect(met).toEqual([100, 9000, 50_000]);
});
