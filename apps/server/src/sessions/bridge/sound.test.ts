import { frameType, isPlainAppend } from '@parley/transport';
import { expect, test } from 'vitest';
import { appendOf, idOf, samplesOf } from './sound.ts';

const SAMPLES = Int16Array.from({ length: 481 }, (_, n) => (n * 137) % 32_768);
const BASE64 = Buffer.from(SAMPLES.buffer).toString('base64');

test('the sound of a delta is what was put into it, wherever its bytes come to lie', () => {
  for (const space of ['', ' ']) {
    const frame = Buffer.from(`{"type":"response.output_audio.delta","delta":${space}"${BASE64}"}`);
    for (let n = 0; n < 4; n++) {
      expect(samplesOf(frame)).toEqual(SAMPLES);
      // The next small buffer begins elsewhere in the pool.
      Buffer.from('x'.repeat(n + 1));
    }
  }
  expect(samplesOf(Buffer.from('{"type":"response.output_audio.delta","delta":""}'))).toBeNull();
  expect(samplesOf(Buffer.from('{"type":"response.output_audio.done"}'))).toBeNull();
  // Half a sample is none.
  expect(samplesOf(Buffer.from('{"delta":"AAAB"}'))).toHaveLength(1);
});

test('the ids of a delta are found before its sound and behind it', () => {
  const ids = '"response_id":"resp_1","item_id": "item_1"';
  for (const frame of [`{${ids},"delta":"${BASE64}"}`, `{"delta":"${BASE64}",${ids}}`]) {
    expect(idOf(Buffer.from(frame), 'response_id')).toBe('resp_1');
    expect(idOf(Buffer.from(frame), 'item_id')).toBe('item_1');
  }
  expect(idOf(Buffer.from(`{"delta":"${BASE64}"}`), 'item_id')).toBeNull();
});

test('what is heard becomes an append that is passed on unparsed', () => {
  const view = SAMPLES.subarray(7, 247);
  const frame = appendOf(view);
  expect(isPlainAppend(frame)).toBe(true);
  expect(frameType(frame)).toBe('input_audio_buffer.append');
  const { audio } = JSON.parse(frame.toString()) as { audio: string };
  const bytes = Buffer.from(audio, 'base64');
  expect(new Int16Array(new Uint8Array(bytes).buffer)).toEqual(new Int16Array(view));
});
