import { ManualClock } from '@parley/transport';
import { expect, test } from 'vitest';
import type { RtpPacket } from '../rtp.ts';
import { OpusIn, type OpusInOptions } from './opus-in.ts';
import { OpusEncoder } from './opus.ts';
import { levelOf, tone } from './tone.test.support.ts';

/** Packets of a 400 Hz tone, 20 ms each. */
function tonePackets(count: number, first = { sequence: 65_530, timestamp: 0xffff_f000 }): RtpPacket[] {
  const encoder = new OpusEncoder(24_000);
  const pcm = tone(400, 24_000, count * 20);
  return Array.from({ length: count }, (_, n) => ({
    sequence: (first.sequence + n) & 0xffff,
    timestamp: (first.timestamp + n * 960) >>> 0,
    marker: n === 0,
    payloadType: 111,
    ssrc: 7,
    payload: Buffer.from(encoder.encode(pcm.subarray(n * 480, (n + 1) * 480))),
  }));
}

function listening(options: Partial<OpusInOptions> = {}) {
  const clock = new ManualClock();
  const frames: Int16Array[] = [];
  const input = new OpusIn({ clock, onPcm: (samples) => frames.push(samples), ...options });
  const rate = options.rate ?? 24_000;
  return { clock, input, frames, ms: () => (frames.reduce((sum, { length }) => sum + length, 0) * 1000) / rate };
}

test.for([8_000, 16_000, 24_000, 48_000] as const)(
  'a tone comes out at %i Hz as long and as loud as it went in',
  (rate) => {
    const { input, frames, ms } = listening({ rate });
    for (const packet of tonePackets(50)) input.push(packet);
    expect(ms()).toBe(1000);
    const heard = Int16Array.from(frames.slice(5).flatMap((frame) => [...frame]));
    expect(levelOf(heard, 400, rate)).toBeGreaterThan(0.9);
    input.close();
  },
);

test('packets in order are passed on at once, across the roll-over of both counters', () => {
  const { input, frames } = listening();
  for (const [n, packet] of tonePackets(20).entries()) {
    input.push(packet);
    expect(frames).toHaveLength(n + 1);
  }
  expect(input.stats).toMatchObject({ packets: 20, lost: 0, late: 0, silenceMs: 0 });
  input.close();
});

test('packets that overtake each other are put in order without a loss', () => {
  const straight = listening();
  const mixed = listening();
  const packets = tonePackets(20);
  for (const packet of packets) straight.input.push(packet);
  const order = [0, 2, 1, 3, 6, 5, 4, 7, 8, 10, 9, 11, 12, 13, 15, 14, 16, 17, 19, 18];
  for (const n of order) mixed.input.push(packets[n] as RtpPacket);
  expect(mixed.frames).toEqual(straight.frames);
  expect(mixed.input.stats).toMatchObject({ packets: 20, lost: 0, late: 0 });
  straight.input.close();
  mixed.input.close();
});

test('a lost packet is waited for within the bound, then concealed, and the sound keeps its length', () => {
  const { clock, input, frames, ms } = listening({ maxDelayMs: 60 });
  const packets = tonePackets(12);
  for (const [n, packet] of packets.slice(0, 8).entries()) if (n !== 6) input.push(packet);
  expect(frames).toHaveLength(6);
  clock.advance(59);
  expect(frames).toHaveLength(6);
  clock.advance(1);
  expect(frames).toHaveLength(8);
  for (const packet of packets.slice(8)) input.push(packet);
  expect(ms()).toBe(240);
  // What stands for the lost one continues the tone: it is not a hole.
  expect(levelOf(frames[6] as Int16Array, 400, 24_000)).toBeGreaterThan(0.5);
  input.push(packets[6] as RtpPacket);
  expect(ms()).toBe(240);
  expect(input.stats).toMatchObject({ lost: 1, late: 1 });
  input.close();
});

test('a gap that cannot be waited for is passed over as soon as enough packets wait', () => {
  const { input, frames } = listening({ maxDelayMs: 60 });
  const packets = tonePackets(40);
  for (const packet of packets.slice(0, 10)) input.push(packet);
  for (const packet of packets.slice(25)) input.push(packet);
  expect(frames.reduce((sum, { length }) => sum + length, 0)).toBe(40 * 480);
  expect(input.stats).toMatchObject({ lost: 15, silenceMs: 200 });
  input.close();
});

test('silence goes on when packets stop, for as long as it is told, and no longer than the pause was', () => {
  const { clock, input, ms } = listening({ silenceMaxMs: 1_000, stallMs: 200 });
  const packets = tonePackets(11);
  for (const packet of packets.slice(0, 10)) {
    input.push(packet);
    clock.advance(20);
  }
  clock.advance(150);
  expect(ms()).toBe(200);
  clock.advance(400);
  // In step with the clock: 550 ms of silence and what was not looked at yet.
  expect(ms()).toBeGreaterThanOrEqual(600);
  expect(ms()).toBeLessThanOrEqual(760);
  clock.advance(5_000);
  expect(ms()).toBe(1_200);
  // A sender that stopped sending for 3 s says so in its timestamp: 1 s of it was filled, 2 s are the most it gets.
  const resumed = packets[10] as RtpPacket;
  input.push({ ...resumed, timestamp: (resumed.timestamp + 3_000 * 48) >>> 0 });
  expect(ms()).toBe(2_220);
  expect(clock.waiting.length).toBeLessThanOrEqual(1);
  input.close();
  expect(clock.waiting).toEqual([]);
});

test('speech that was held up by the network is passed on in full', () => {
  const { clock, input, ms } = listening();
  const packets = tonePackets(40);
  for (const packet of packets.slice(0, 10)) input.push(packet);
  clock.advance(600);
  for (const packet of packets.slice(10)) input.push(packet);
  expect(input.stats).toMatchObject({ lost: 0, late: 0 });
  expect(ms() - input.stats.silenceMs).toBe(800);
  input.close();
});

test('a stream that begins anew is followed', () => {
  const { input, ms } = listening();
  for (const packet of tonePackets(10)) input.push(packet);
  for (const packet of tonePackets(10, { sequence: 3_000, timestamp: 5 })) input.push({ ...packet, ssrc: 8 });
  for (const packet of tonePackets(10, { sequence: 30_000, timestamp: 99_999 })) input.push({ ...packet, ssrc: 8 });
  expect(ms()).toBe(600);
  expect(input.stats).toMatchObject({ packets: 30, lost: 0 });
  input.close();
});

test('what is not Opus is counted and ends nothing', () => {
  const { input, ms } = listening();
  const packets = tonePackets(10);
  for (const [n, packet] of packets.entries()) {
    input.push(n === 5 ? { ...packet, payload: Buffer.from([0xff]) } : packet);
  }
  expect(input.stats.broken).toBe(1);
  expect(ms()).toBe(200);
  input.close();
});
