import { ManualClock } from '@parley/transport';
import { expect, test } from 'vitest';
import { OpusOut, type OpusOutOptions } from './opus-out.ts';
import { OpusDecoder } from './opus.ts';
import { levelOf, peakOf, tone } from './tone.test.support.ts';

interface Sent {
  packet: Uint8Array;
  timestamp: number;
  marker: boolean;
  atMs: number;
}

function playing(options: Partial<OpusOutOptions> = {}) {
  const clock = new ManualClock();
  const sent: Sent[] = [];
  const events: string[] = [];
  const out: OpusOut = new OpusOut({
    clock,
    send: (packet, timestamp, marker) => sent.push({ packet, timestamp, marker, atMs: clock.now() }),
    onStarted: () => events.push(`started ${clock.now()}`),
    onStopped: () => events.push(`stopped ${clock.now()} after ${out.playedMs}`),
    ...options,
  });
  out.start();
  const heard = (): Int16Array[] => {
    const decoder = new OpusDecoder(24_000);
    return sent.map(({ packet }) => decoder.decode(packet) as Int16Array);
  };
  return { clock, sent, events, out, heard };
}

test('sound that comes in chunks of any size leaves in frames of 20 ms, as long and as loud', () => {
  const { clock, sent, events, out, heard } = playing();
  clock.advance(90);
  const pcm = tone(400, 24_000, 1_000);
  for (let at = 0, size = 1; at < pcm.length; at += size, size = ((size * 7) % 1_901) + 1) {
    expect(out.push(pcm.subarray(at, Math.min(pcm.length, at + size)))).toBe(true);
  }
  out.end();
  expect(out.queuedMs).toBe(1_000);
  clock.advance(2_000);
  expect(sent.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 105 }, (_, n) => n * 20));
  expect(sent.map(({ timestamp }) => timestamp)).toEqual(Array.from({ length: 105 }, (_, n) => n * 960));
  expect(sent.flatMap(({ marker, atMs }) => (marker ? [atMs] : []))).toEqual([100]);
  expect(events).toEqual(['started 100', 'stopped 1100 after 1000']);
  const frames = heard();
  expect(levelOf(Int16Array.from(frames.slice(10, 50).flatMap((frame) => [...frame])), 400, 24_000)).toBeGreaterThan(
    0.9,
  );
  expect(Math.max(...frames.slice(60).map(peakOf))).toBeLessThan(50);
  out.close();
  expect(clock.waiting).toEqual([]);
});

test('a cut is silent with the next frame, and what was played is known to the millisecond', () => {
  const { clock, events, out, heard } = playing();
  out.push(tone(400, 24_000, 10_000));
  out.end();
  clock.advance(3_005);
  expect(out.playedMs).toBe(3_000);
  expect(out.clear()).toBe(7_000);
  const before = heard().length;
  clock.advance(1_000);
  expect([out.playedMs, out.queuedMs, out.pushedMs, out.playing]).toEqual([3_000, 0, 3_000, false]);
  const frames = heard();
  // The first frame after the cut holds the 6.5 ms that the codec looks ahead, and how the tone rings out.
  expect(peakOf((frames[before] as Int16Array).subarray(240))).toBeLessThan(2_000);
  expect(Math.max(...frames.slice(before + 1).map(peakOf))).toBeLessThan(600);
  expect(Math.max(...frames.slice(before + 3).map(peakOf))).toBeLessThan(50);
  expect(events).toEqual(['started 20']);
  out.push(tone(400, 24_000, 100));
  out.end();
  clock.advance(200);
  expect(events.slice(1)).toEqual(['started 4020', 'stopped 4120 after 3100']);
  out.close();
});

test('an answer that comes slower than it is heard is played whole, and is over when it says so', () => {
  const { clock, events, out } = playing();
  for (let n = 0; n < 5; n++) {
    out.push(tone(400, 24_000, 50));
    clock.advance(300);
  }
  expect(out.playedMs).toBe(250);
  expect(events).toEqual(['started 20']);
  out.end();
  clock.advance(40);
  expect(events).toHaveLength(2);
  out.close();
});

test('an hour of calls keeps its schedule to the frame', { timeout: 60_000 }, () => {
  let frames = 0;
  let last = -960;
  let even = true;
  const { clock, out } = playing({
    send: (_, timestamp) => {
      even &&= timestamp === last + 960;
      last = timestamp;
      frames++;
    },
  });
  const minute = tone(300, 24_000, 1_010);
  for (let n = 0; n < 60; n++) {
    out.push(minute);
    out.end();
    // Steps that fall between the frames, as timers of a busy machine do.
    for (let left = 60_000; left > 0; left -= 7) clock.advance(Math.min(7, left));
  }
  expect(frames).toBe(180_001);
  expect(even).toBe(true);
  expect(out.playedMs).toBe(60 * 1_010);
  out.close();
});

test('a late timer is made up for, a long sleep is not', () => {
  let now = 0;
  let wake: (() => void) | null = null;
  const clock = {
    now: () => now,
    after: (_: number, run: () => void) => ((wake = run), { cancel: () => (wake = null) }),
  };
  const timestamps: number[] = [];
  const out = new OpusOut({ clock, send: (_, timestamp) => timestamps.push(timestamp / 960) });
  out.start();
  out.push(tone(400, 24_000, 1_000));
  now = 75;
  (wake as unknown as () => void)();
  expect(timestamps).toEqual([0, 1, 2, 3]);
  now = 60_000;
  (wake as unknown as () => void)();
  expect(timestamps).toEqual([0, 1, 2, 3, 3_000]);
  expect(out.playedMs).toBe(80);
  out.close();
});

test('a full buffer takes nothing more and says so', () => {
  const { out } = playing({ maxBufferMs: 1_000, rate: 8_000 });
  expect(out.push(new Int16Array(8_000))).toBe(true);
  expect(out.push(new Int16Array(1))).toBe(false);
  expect(out.queuedMs).toBe(1_000);
  out.clear();
  expect(out.push(new Int16Array(1))).toBe(true);
  out.close();
});

test('a listener may end it from within', () => {
  const { clock, out, sent } = playing({ onStarted: () => out.close() });
  out.push(tone(400, 24_000, 500));
  clock.advance(1_000);
  expect(sent).toHaveLength(2);
  expect(clock.waiting).toEqual([]);
});

test('rates that Opus does not speak are refused', () => {
  expect(() => playing({ rate: 44_100 as 48_000 })).toThrow(/rate must be 8000, .*got 44100/u);
});
