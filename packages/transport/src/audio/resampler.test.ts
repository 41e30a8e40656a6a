import { expect, test } from 'vitest';
import { Pcm16Resampler } from './resampler.ts';

const FROM = 24_000;
const TO = 16_000;
const AMPLITUDE = 16_000;

/** A second of a tone. */
function tone(hz: number, rate = FROM): Buffer {
  const pcm = Buffer.alloc(rate * 2);
  for (let n = 0; n < rate; n++) {
    pcm.writeInt16LE(Math.round(AMPLITUDE * Math.sin((2 * Math.PI * hz * n) / rate)), n * 2);
  }
  return pcm;
}

/** The middle of what comes out, as numbers: the filter has begun, and has not ended. */
function middle(pcm: Buffer): number[] {
  const samples = Array.from({ length: pcm.length / 2 }, (_, n) => pcm.readInt16LE(n * 2));
  return samples.slice(1_000, -1_000);
}

/** How far the tone stands above everything else, in dB: the tone is fitted in its phase and its size. */
function signalToNoise(samples: readonly number[], hz: number, rate: number): number {
  let sine = 0;
  let cosine = 0;
  for (const [n, value] of samples.entries()) {
    sine += value * Math.sin((2 * Math.PI * hz * n) / rate);
    cosine += value * Math.cos((2 * Math.PI * hz * n) / rate);
  }
  const [a, b] = [(2 * sine) / samples.length, (2 * cosine) / samples.length];
  let noise = 0;
  for (const [n, value] of samples.entries()) {
    const at = (2 * Math.PI * hz * n) / rate;
    noise += (value - a * Math.sin(at) - b * Math.cos(at)) ** 2;
  }
  return 10 * Math.log10((a * a + b * b) / 2 / (noise / samples.length));
}

const level = (samples: readonly number[]): number =>
  20 * Math.log10(Math.sqrt((2 * samples.reduce((sum, one) => sum + one * one, 0)) / samples.length) / AMPLITUDE);

test.for([100, 440, 1_000, 3_400, 6_600])('a tone of %i Hz comes out of 24 kHz at 16 kHz as it went in', (hz) => {
  const out = middle(new Pcm16Resampler(FROM, TO).push(tone(hz)));
  expect(signalToNoise(out, hz, TO)).toBeGreaterThan(65);
  expect(Math.abs(level(out))).toBeLessThan(0.1);
});

test.for([8_400, 8_800, 10_000, 11_500])('a tone of %i Hz, which 16 kHz cannot hold, is not heard as another', (hz) => {
  expect(level(middle(new Pcm16Resampler(FROM, TO).push(tone(hz))))).toBeLessThan(-60);
});

test('up again it is the same tone', () => {
  const out = middle(new Pcm16Resampler(TO, FROM).push(tone(1_000, TO)));
  expect(signalToNoise(out, 1_000, FROM)).toBeGreaterThan(65);
});

test('pieces of any size are the same sound as the whole, and two samples of three come out', () => {
  const pcm = tone(1_000);
  const whole = new Pcm16Resampler(FROM, TO).push(pcm);
  for (const size of [2, 26, 960, 4_802]) {
    const resampler = new Pcm16Resampler(FROM, TO);
    const pieces = Array.from({ length: Math.ceil(pcm.length / size) }, (_, n) =>
      resampler.push(pcm.subarray(n * size, (n + 1) * size)),
    );
    expect(Buffer.concat(pieces).equals(whole)).toBe(true);
  }
  expect(Math.abs(whole.length / 2 - TO)).toBeLessThan(40);
});

test('the loudest sound is not turned over', () => {
  const pcm = Buffer.alloc(FROM * 2);
  for (let n = 0; n < FROM; n++) pcm.writeInt16LE(n % 48 < 24 ? 32_767 : -32_768, n * 2);
  const out = middle(new Pcm16Resampler(FROM, TO).push(pcm));
  for (let n = 0; n + 1 < out.length; n++) {
    const [here, next] = [out[n] as number, out[n + 1] as number];
    expect(Math.abs(here) > 30_000 && Math.abs(next) > 30_000 && here * next < 0).toBe(false);
  }
});
