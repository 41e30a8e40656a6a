import { expect, test } from 'vitest';
import { splitMessages } from './speech/coded-speech.ts';
import {
  decodeAlaw,
  decodeMulaw,
  decodeSpeech,
  encodeAlaw,
  encodeMulaw,
  encodeSpeech,
  readWav,
  resample,
  writeWav,
} from './speech.ts';

const SENTENCE = 'Order 1042 ships on Tuesday, Zoë.';
const LONG =
  'The quick brown fox jumps over the lazy dog, and then it does it all over again because nobody told it that once was enough.';

test.each([24_000, 16_000, 48_000])('a sentence survives as sound at %i Hz', async (sampleRate) => {
  expect(await decodeSpeech(await encodeSpeech(SENTENCE, { sampleRate }), sampleRate)).toBe(SENTENCE);
});

test.each([
  ['µ-law', encodeMulaw, decodeMulaw],
  ['A-law', encodeAlaw, decodeAlaw],
])('a sentence survives a telephone line in %s', async (_, encode, decode) => {
  const pcm = await encodeSpeech(SENTENCE, { sampleRate: 8_000 });
  expect(await decodeSpeech(decode(encode(pcm)), 8_000)).toBe(SENTENCE);
});

test('a text longer than one message arrives whole', async () => {
  expect(splitMessages(LONG).length).toBeGreaterThan(1);
  expect(await decodeSpeech(await encodeSpeech(LONG), 24_000)).toBe(LONG);
});

test('a word longer than one message is put together again', async () => {
  const word = 'ä'.repeat(70);
  expect(await decodeSpeech(await encodeSpeech(word), 24_000)).toBe(word);
});

test('inside a text no pause is as long as the shortest silence window', async () => {
  for (const sampleRate of [24_000, 8_000]) {
    const pcm = await encodeSpeech(LONG, { sampleRate });
    const frame = sampleRate / 50;
    let quiet_ms = 0;
    let longest_ms = 0;
    let spoken = false;
    for (let at = 0; at + frame <= pcm.length - sampleRate * 0.8; at += frame) {
      const loud = pcm.subarray(at, at + frame).some((sample) => Math.abs(sample) > 1_000);
      quiet_ms = loud ? 0 : quiet_ms + 20;
      spoken ||= loud;
      if (spoken) longest_ms = Math.max(longest_ms, quiet_ms);
    }
    expect(longest_ms).toBeLessThan(200);
  }
});

test('sound without a code says nothing', async () => {
  const hum = Int16Array.from({ length: 24_000 }, (_, i) =>
    Math.round(8_000 * Math.sin((2 * Math.PI * 220 * i) / 24_000)),
  );
  expect(await decodeSpeech(hum, 24_000)).toBe('');
  expect(await decodeSpeech(new Int16Array(0), 24_000)).toBe('');
});

test('many requests at once are answered each with its own', async () => {
  const texts = Array.from({ length: 6 }, (_, i) => `caller ${i}`);
  const heard = await Promise.all(texts.map(async (text) => decodeSpeech(await encodeSpeech(text), 24_000)));
  expect(heard).toEqual(texts);
});

test('resampling keeps a tone and its length', () => {
  const tone = Int16Array.from({ length: 24_000 }, (_, i) =>
    Math.round(10_000 * Math.sin((2 * Math.PI * 440 * i) / 24_000)),
  );
  const back = resample(resample(tone, 24_000, 8_000), 8_000, 24_000);
  expect(back.length).toBe(tone.length);
  let worst = 0;
  for (let i = 200; i < tone.length - 200; i++) worst = Math.max(worst, Math.abs((tone[i] ?? 0) - (back[i] ?? 0)));
  expect(worst).toBeLessThan(150);
  expect(() => resample(tone, 0, 8_000)).toThrow('sample rate must be');
});

test('every G.711 byte decodes to a sample that encodes to the same byte', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  // µ-law has two zeros; the negative one is read as the positive.
  expect(encodeMulaw(decodeMulaw(bytes)).map((byte, i) => (i === 127 ? 127 : byte))).toEqual(bytes);
  expect(encodeAlaw(decodeAlaw(bytes))).toEqual(bytes);
});

test('a WAV file is written and read back, and what is no WAV is refused', () => {
  const pcm = Int16Array.from([0, 1, -1, 32_767, -32_768]);
  expect(readWav(writeWav(pcm, 16_000))).toEqual({ sampleRate: 16_000, channels: 1, samples: pcm });
  expect(() => readWav(new Uint8Array(50))).toThrow('expected RIFF and WAVE');
});

test('float stereo with an extensible header is mixed to mono', () => {
  const bytes = new Uint8Array(12 + 48 + 8 + 16);
  const view = new DataView(bytes.buffer);
  const put = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  put(0, 'RIFF');
  put(8, 'WAVEfmt ');
  view.setUint32(16, 40, true);
  view.setUint16(20, 0xfffe, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, 48_000, true);
  view.setUint16(34, 32, true);
  view.setUint16(44, 3, true);
  put(60, 'data');
  view.setUint32(64, 16, true);
  [0.5, 0, -1, -1].forEach((value, i) => view.setFloat32(68 + i * 4, value, true));
  expect(readWav(bytes)).toEqual({ sampleRate: 48_000, channels: 2, samples: Int16Array.from([8_192, -32_768]) });
});
