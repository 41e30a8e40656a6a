// Marks of a telephone carrier: what was heard is what the carrier says was played.

import { expect, test } from 'vitest';
import { PlaybackTracker } from './play/tracker.ts';
import { TelephonyMarks } from './telephony.ts';

const chunk = (ms: number): Buffer => Buffer.alloc(ms * 8, 0xff);

test('a mark that comes back says that its sound was heard', () => {
  const tracker = new PlaybackTracker();
  const marks = new TelephonyMarks({ tracker, format: 'g711_ulaw' });
  const one = marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(100) });
  const two = marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(60) });
  expect(one).not.toBe(two);
  marks.played(one);
  expect(tracker.getState()).toEqual({ itemId: 'a', contentIndex: 0, elapsedMs: 100 });
  marks.played(two);
  expect(tracker.heardMs('a', 0)).toBe(160);
});

test('a lost mark is made up for by a later one, and none counts twice', () => {
  const tracker = new PlaybackTracker();
  const marks = new TelephonyMarks({ tracker, format: 'g711_ulaw' });
  const names = [1, 2, 3].map(() => marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(20) }));
  marks.played(names[2] as string);
  marks.played(names[0] as string);
  marks.played('of somebody else');
  expect(tracker.heardMs('a', 0)).toBe(60);
});

test('marks of sound that was cleared are stale, also when they come back', () => {
  const tracker = new PlaybackTracker();
  const marks = new TelephonyMarks({ tracker, format: 'g711_ulaw' });
  const old = marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(20) });
  marks.cleared();
  tracker.onInterrupted();
  const next = marks.sent({ itemId: 'b', contentIndex: 0, data: chunk(20) });
  // Carriers send back the marks of what they throw away.
  marks.played(old);
  expect(tracker.getState()).toBeNull();
  marks.played(next);
  expect(tracker.heardMs('b', 0)).toBe(20);
});

test('marks that never come back are held up to a bound', () => {
  const tracker = new PlaybackTracker();
  const marks = new TelephonyMarks({ tracker, format: 'g711_ulaw', marksMax: 2 });
  const first = marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(20) });
  marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(20) });
  const last = marks.sent({ itemId: 'a', contentIndex: 0, data: chunk(20) });
  marks.played(first);
  expect(tracker.heardMs('a', 0)).toBe(20);
  marks.played(last);
  expect(tracker.heardMs('a', 0)).toBe(60);
});
