import { expect, test } from 'vitest';
import { decodePcm, encodePcm, levelOf, pcmOfFloat } from '../pcm.ts';
import { PacedSink, paced } from './paced.ts';
import { Playout } from './playout.ts';
import { Resampler } from './resampler.ts';

test('PCM survives base64, whatever its length', () => {
  const pcm = Int16Array.from({ length: 50_001 }, (_, i) => ((i * 7919) % 65_536) - 32_768);
  expect(decodePcm(encodePcm(pcm))).toEqual(pcm);
  expect(decodePcm(encodePcm(pcm.subarray(3, 5)))).toEqual(pcm.slice(3, 5));
  expect(levelOf(new Int16Array(10))).toBe(0);
  expect([...pcmOfFloat(Float32Array.of(-2, -1, 0, 1, 2))]).toEqual([-32_768, -32_768, 0, 32_767, 32_767]);
});

test('a ledger of playback knows what was heard of which answer', () => {
  const playout = new Playout();
  playout.add('a', 24_000);
  playout.add('a', 24_000);
  playout.add('b', 24_000);
  playout.advance(36_000);
  expect(playout.pending).toBe(36_000);
  expect(playout.cut()).toEqual([
    { itemId: 'a', playedMs: 1500, unheardMs: 500 },
    { itemId: 'b', playedMs: 0, unheardMs: 1000 },
  ]);
  expect(playout.pending).toBe(0);
  playout.add('c', 240);
  playout.advance(100_000);
  expect(playout.cut()).toEqual([{ itemId: 'c', playedMs: 10, unheardMs: 0 }]);
});

test('a source is cut into frames, and nothing of it is lost', async () => {
  async function* source() {
    yield Int16Array.from({ length: 700 }, (_, i) => i);
    yield Int16Array.from({ length: 500 }, (_, i) => 700 + i);
  }
  const frames: Int16Array[] = [];
  for await (const frame of paced(source(), { frameMs: 20 })) frames.push(frame);
  expect(frames.map((frame) => frame.length)).toEqual([480, 480, 240]);
  expect(frames.flatMap((frame) => [...frame])).toEqual(Array.from({ length: 1200 }, (_, i) => i));
});

test('a paced source ends when its signal fires', async () => {
  const abort = new AbortController();
  async function* endless() {
    for (;;) yield new Int16Array(480);
  }
  let frames = 0;
  for await (const _ of paced(endless(), { signal: abort.signal })) {
    frames += 1;
    if (frames === 3) abort.abort();
  }
  expect(frames).toBe(3);
});

test('a paced sink hears everything in order, and keeps what it heard', async () => {
  let done: () => void = () => {};
  const heard = new Promise<void>((resolve) => (done = resolve));
  let samples = 0;
  const sink = new PacedSink({
    onHeard: (pcm) => {
      samples += pcm.length;
      if (samples === 2400) done();
    },
  });
  sink.write(
    'a',
    Int16Array.from({ length: 1200 }, (_, i) => i),
  );
  sink.write(
    'b',
    Int16Array.from({ length: 1200 }, (_, i) => 1200 + i),
  );
  await heard;
  expect([...sink.recording()]).toEqual(Array.from({ length: 2400 }, (_, i) => i));
  expect(sink.pendingMs).toBe(0);
  await sink.close();
});

test('a paced sink that is cut falls silent, and tells how far it came', async () => {
  let wake: () => void = () => {};
  const begun = new Promise<void>((resolve) => (wake = resolve));
  const sink = new PacedSink({ onHeard: () => wake(), keepMsMax: 0 });
  sink.write('a', new Int16Array(24_000 * 60));
  await begun;
  const [cut] = sink.cut();
  expect(cut?.itemId).toBe('a');
  expect((cut?.playedMs ?? 0) + (cut?.unheardMs ?? 0)).toBeCloseTo(60_000, 5);
  expect(cut?.playedMs).toBeGreaterThan(0);
  expect(sink.pendingMs).toBe(0);
  expect(sink.recording()).toHaveLength(0);
});

test('a sink that is full drops and counts', () => {
  const sink = new PacedSink({ queueMsMax: 1000 });
  sink.write('a', new Int16Array(24_000));
  sink.write('a', new Int16Array(24_000));
  expect(sink.droppedMs).toBe(1000);
  sink.cut();
});

test('another sample rate keeps the tone, its length and its loudness, in pieces of any size', () => {
  for (const [from, to] of [
    [48_000, 24_000],
    [44_100, 24_000],
    [24_000, 48_000],
    [16_000, 24_000],
  ] as const) {
    const tone = Float32Array.from({ length: from }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / from));
    const resampler = new Resampler(from, to);
    const out: number[] = [];
    for (let at = 0, size = 1; at < tone.length; at += size, size = (size * 7) % 911) {
      out.push(...resampler.push(tone.subarray(at, at + size)));
    }
    expect(Math.abs(out.length - to)).toBeLessThan(64);
    const crossings = out.filter((sample, i) => i > 0 && (out[i - 1] as number) < 0 && sample >= 0).length;
    expect(Math.abs(crossings - 440)).toBeLessThanOrEqual(1);
    expect(levelOf(pcmOfFloat(Float32Array.from(out)))).toBeCloseTo(0.5 / Math.SQRT2, 2);
  }
});

test('what is above half of the new rate does not come back as another tone', () => {
  const tone = Float32Array.from({ length: 48_000 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 18_000 * i) / 48_000));
  const out = new Resampler(48_000, 24_000).push(tone);
  expect(levelOf(pcmOfFloat(out.subarray(100)))).toBeLessThan(0.01);
});
