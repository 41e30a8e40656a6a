import { ManualClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { Playout } from './playout.ts';
import { tone } from './tone.test.support.ts';

function playing() {
  const clock = new ManualClock();
  const events: string[] = [];
  let packets = 0;
  const playout = new Playout({
    clock,
    send: () => packets++,
    onStarted: (answer) => events.push(`${answer} started ${clock.now()}`),
    onStopped: (answer) => events.push(`${answer} stopped ${clock.now()}`),
  });
  playout.start();
  const push = (answer: string, part: string, ms: number) => playout.push(answer, part, tone(400, 24_000, ms));
  return { clock, events, playout, push, packets: () => packets };
}

test('each answer starts with its first sound and stops after its last', () => {
  const { clock, events, playout, push } = playing();
  push('a', 'one', 90);
  push('a', 'two', 55);
  playout.end('a');
  push('b', 'three', 100);
  clock.advance(200);
  push('b', 'three', 100);
  playout.end('b');
  playout.end('c');
  clock.advance(1_000);
  // 145 ms of a and 55 of b share the eighth frame; 345 ms fill eighteen.
  expect(events).toEqual(['a started 20', 'a stopped 180', 'b started 180', 'b stopped 380']);
  expect(playout.busy).toBe(false);
  playout.close();
  expect(clock.waiting).toEqual([]);
});

test('a cut says of each part how much of it was heard', () => {
  const { clock, events, playout, push } = playing();
  push('a', 'one', 1_000);
  push('a', 'two', 1_000);
  playout.end('a');
  push('b', 'three', 500);
  clock.advance(1_215);
  expect(playout.cut()).toEqual({
    answers: ['a', 'b'],
    parts: [
      { answer: 'a', part: 'two', playedMs: 200, pushedMs: 1_000 },
      { answer: 'b', part: 'three', playedMs: 0, pushedMs: 500 },
    ],
  });
  expect(playout.cut()).toEqual({ answers: [], parts: [] });
  clock.advance(1_000);
  push('c', 'four', 40);
  playout.end('c');
  clock.advance(100);
  expect(events).toEqual(['a started 20', 'c started 2220', 'c stopped 2260']);
  playout.close();
});

test('an answer without sound neither starts nor stops, and holds up no other', () => {
  const { clock, events, playout, push } = playing();
  push('a', 'one', 0);
  playout.end('a');
  push('b', 'two', 20);
  playout.end('b');
  clock.advance(100);
  expect(events).toEqual(['b started 20', 'b stopped 40']);
  playout.close();
});

test('an answer after a cut is heard to its end, whatever their lengths are', () => {
  const { clock, events, playout } = playing();
  playout.push('a', 'one', tone(400, 24_000, 5_000));
  clock.advance(950);
  playout.cut();
  // 22 560 samples were played: in floating point 940 ms and the time of these make more than the time of both.
  playout.push('b', 'two', new Int16Array(75_746));
  playout.end('b');
  clock.advance(5_000);
  expect(events.at(-1)).toMatch(/^b stopped/);
  playout.close();
});
