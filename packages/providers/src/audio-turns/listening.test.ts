import { encodeSpeech } from '@parley/simulator/speech';
import { beforeAll, expect, test } from 'vitest';
import { type Heard, Listening } from './listening.ts';
import { voiceModule } from './vad.ts';

// The ear of a session by turns, on sounds as lines bring them.

const VAD = { type: 'server_vad' as const, threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 };
let module: Awaited<ReturnType<typeof voiceModule>>;
beforeAll(async () => {
  module = await voiceModule();
});

function bytes(samples: Int16Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

function silence(ms: number): Buffer {
  return Buffer.alloc(ms * 48);
}

/** The same hiss every time. */
function hiss(ms: number, peak: number): Buffer {
  let seed = 7;
  const next = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7f_ff_ff_ff;
    return seed / 0x7f_ff_ff_ff - 0.5;
  };
  return bytes(Int16Array.from({ length: ms * 24 }, () => next() * 2 * peak));
}

/** A hum with the tone of a voice: a low note and what sounds above it. */
function voice(ms: number, peak = 4000): Buffer {
  const note = (i: number): number =>
    [1, 2, 3, 4, 5].reduce((sum, n) => sum + Math.sin((2 * Math.PI * 140 * n * i) / 24_000) / n, 0);
  return bytes(Int16Array.from({ length: ms * 24 }, (_, i) => (peak / 2.3) * note(i)));
}

function hears(sound: Buffer, chunk: number, detection = VAD, turn_ms_max = 120_000): Heard[] {
  const listening = new Listening(module, detection, turn_ms_max);
  const heard: Heard[] = [];
  for (let at = 0; at < sound.length; at += chunk) {
    const some = listening.append(sound.subarray(at, at + chunk));
    if (Array.isArray(some)) heard.push(...some);
  }
  listening.free();
  return heard;
}

test('a voice between silences is one turn, with what was just before it and not much after it', () => {
  const heard = hears(Buffer.concat([silence(1000), voice(900), silence(1000)]), 960);
  expect(heard.map(({ kind }) => kind)).toEqual(['started', 'stopped']);
  const [started, stopped] = heard;
  expect(started?.audio_ms).toBeGreaterThanOrEqual(660);
  expect(started?.audio_ms).toBeLessThanOrEqual(760);
  expect(stopped?.audio_ms).toBeGreaterThanOrEqual(2380);
  expect(stopped?.audio_ms).toBeLessThanOrEqual(2600);
  const length = stopped?.kind === 'stopped' ? stopped.turn.pcm.length / 48 : 0;
  expect(length).toBe((stopped?.audio_ms ?? 0) - (started?.audio_ms ?? 0));
});

test.for([2, 958, 960, 9600, 1_000_000])('chunks of %i bytes change nothing', (chunk) => {
  const sound = Buffer.concat([silence(500), voice(600), silence(900), voice(400), silence(700)]);
  const times = (heard: Heard[]) => heard.map(({ kind, audio_ms }) => [kind, audio_ms]);
  expect(times(hears(sound, chunk))).toEqual(times(hears(sound, 960)));
});

test('a pause that is shorter than the window does not end a turn, and a click does not begin one', () => {
  const paused = Buffer.concat([silence(300), voice(500), silence(350), voice(500), silence(800)]);
  expect(hears(paused, 960).map(({ kind }) => kind)).toEqual(['started', 'stopped']);
  expect(hears(Buffer.concat([silence(500), voice(30, 20_000), silence(800)]), 960)).toEqual([]);
});

test('the hiss of a line is silence, also right after speech', () => {
  expect(hears(hiss(3000, 300), 960)).toEqual([]);
  const sound = Buffer.concat([hiss(500, 300), voice(800), hiss(3000, 300)]);
  const heard = hears(sound, 960);
  expect(heard.map(({ kind }) => kind)).toEqual(['started', 'stopped']);
  expect(heard[1]?.audio_ms).toBeLessThan(2600);
});

test('the threshold says how loud speech has to be', () => {
  const soft = Buffer.concat([silence(300), voice(800, 500), silence(800)]);
  expect(hears(soft, 960, { ...VAD, threshold: 0.1 })).toHaveLength(2);
  expect(hears(soft, 960, { ...VAD, threshold: 1 })).toHaveLength(0);
});

test('speech that does not end is taken as a turn at the bound', () => {
  const heard = hears(voice(5000), 960, VAD, 2000);
  expect(heard.map(({ kind }) => kind).slice(0, 3)).toEqual(['started', 'stopped', 'started']);
  const first = heard[1];
  expect(first?.kind === 'stopped' ? first.turn.pcm.length / 48 : 0).toBeLessThan(2100);
});

test('coded sound is speech, and comes through whole', async () => {
  const coded = bytes(await encodeSpeech('hello'));
  const heard = hears(Buffer.concat([coded, silence(800)]), 960);
  expect(heard.map(({ kind }) => kind)).toEqual(['started', 'stopped']);
});

test('without detection a turn is what was committed, no less than a tenth of a second and no more than the bound', () => {
  const listening = new Listening(module, null, 1000);
  listening.append(silence(90));
  expect(listening.commit()).toBeNull();
  listening.append(voice(510));
  expect(listening.commit()?.pcm.length).toBe(600 * 48);
  expect(listening.waitingMs).toBe(0);
  expect(listening.append(silence(900))).toBeNull();
  expect(listening.append(silence(200))).toBe('full');
  listening.clear();
  expect(listening.append(silence(200))).toBeNull();
});
