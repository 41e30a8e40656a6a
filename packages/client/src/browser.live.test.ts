// The call as a page makes it, in a real browser with a microphone that beeps.

import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bundleOf, launch, NO_CHROMIUM } from './call/page.test.support.ts';
import { type Answer, FakeControlPlane, sessionResource } from './control-plane.test.fake.ts';
import { decodePcm, encodePcm, levelOf, msOf } from './pcm.ts';

let browser: Browser;
let bundle = '';
// A page's audio needs a browser; nothing else can stand in for it.
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => {
  if (NO_CHROMIUM !== null) return;
  bundle = await bundleOf('../index.ts');
  browser = await launch();
}, 60_000);
afterAll(async () => browser?.close());

/** What a page did, as the peer saw it. */
interface Seen {
  audio: Int16Array[];
  frames: Record<string, unknown>[];
  until: (condition: () => boolean) => Promise<void>;
}

async function pagePeer(say: (send: (frame: unknown) => void, seen: Seen) => Promise<void>) {
  const peer = await FakeControlPlane.start();
  const serve = (path: string, type: string, text: string): void => {
    peer.route(`GET ${path}`, null, (): Answer => ({ text, headers: { 'content-type': type } }));
  };
  serve('/', 'text/html', '<!doctype html><title>call</title>');
  serve('/client.js', 'text/javascript', bundle);
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({ body: sessionResource('sess_1'), is: 'SessionResource' }));
  peer.route('POST /api/v1/sessions/sess_1/close', 'CloseRequest', () => ({ body: sessionResource('sess_1') }));
  let wake: () => void = () => {};
  const seen: Seen = {
    audio: [],
    frames: [],
    async until(condition) {
      while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
  peer.socket = (socket) => {
    socket.on('message', (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as Record<string, unknown>;
      if (frame['type'] === 'input_audio_buffer.append') seen.audio.push(decodePcm(frame['audio'] as string));
      else seen.frames.push(frame);
      wake();
    });
    void say((frame) => socket.send(JSON.stringify(frame)), seen);
  };
  return { peer, seen };
}

const HELLO = {
  type: 'session.created',
  session: { audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: true } } } },
};
const TONE = encodePcm(
  Int16Array.from({ length: 24_000 * 4 }, (_, i) => 12_000 * Math.sin((2 * Math.PI * 440 * i) / 24_000)),
);

/** What the page reports when the peer's part is over. */
interface PageReport {
  states: string[];
  mic: number;
  speaker: number;
  playedMs: number;
  userAudioMs: number;
}

// Runs in the page, so it is text for the page: nothing of this file is there.
const CALL = `async (refuses24k) => {
  if (refuses24k) {
    const real = AudioContext.prototype.createMediaStreamSource;
    AudioContext.prototype.createMediaStreamSource = function (stream) {
      if (this.sampleRate === 24000) throw new DOMException('different sample rates', 'NotSupportedError');
      return real.call(this, stream);
    };
  }
  const { startCall } = await import('/client.js');
  const report = { states: [], mic: 0, speaker: 0, playedMs: -1, userAudioMs: 0 };
  const call = await startCall({ url: location.origin, sessionId: 'sess_1', token: 'tok', audio: true });
  const over = new Promise((resolve) => call.on('interruption', ({ playedMs }) => resolve(playedMs)));
  call.on('state', (state) => report.states.push(state));
  call.on('level', ({ mic, speaker }) => {
    report.mic = Math.max(report.mic, mic);
    report.speaker = Math.max(report.speaker, speaker);
  });
  report.playedMs = await over;
  const end = await call.hangUp('over');
  report.userAudioMs = end.stats.userAudioMs;
  return report;
}`;

for (const refuses24k of [false, true]) {
  const where = refuses24k ? 'in a browser that does not resample a microphone' : 'in a browser';
  test(`${where} a call hears the microphone, plays the answer, and is cut by speech`, async () => {
    const { peer, seen } = await pagePeer(async (send, { audio, until }) => {
      send(HELLO);
      // A second of the microphone, which beeps once a second.
      await until(() => audio.reduce((ms, pcm) => ms + msOf(pcm.length), 0) >= 1100);
      send({ type: 'response.created', response: { id: 'resp_1' } });
      send({ type: 'response.output_audio.delta', response_id: 'resp_1', item_id: 'item_1', delta: TONE });
      const before = audio.length;
      await until(() => audio.length >= before + 40);
      send({ type: 'input_audio_buffer.speech_started' });
    });
    await using _ = peer;
    const page = await browser.newPage();
    try {
      await page.goto(peer.url);
      const report = (await page.evaluate(`(${CALL})(${refuses24k})`)) as PageReport;
      expect(report.states).toContain('speaking');
      expect(report.states.at(-1)).toBe('ended');
      expect(report.speaker).toBeGreaterThan(0.15);
      expect(report.mic).toBeGreaterThan(0);
      expect(report.playedMs).toBeGreaterThan(100);
      expect(report.playedMs).toBeLessThan(4000);
      await seen.until(() => seen.frames.some((frame) => frame['type'] === 'conversation.item.truncate'));
      expect(seen.frames[0]).toMatchObject({ item_id: 'item_1', audio_end_ms: Math.floor(report.playedMs) });
      expect(Math.max(...seen.audio.map(levelOf))).toBeGreaterThan(0.01);
      const lengths = seen.audio.map((pcm) => msOf(pcm.length));
      expect(Math.max(...lengths)).toBeLessThanOrEqual(40);
      expect(report.userAudioMs).toBeGreaterThanOrEqual(1100);
    } finally {
      await page.close();
    }
  }, 20_000);
}

test('a page without a microphone is told so', async () => {
  const { peer } = await pagePeer(async (send) => send(HELLO));
  await using _ = peer;
  const page = await browser.newPage();
  try {
    await page.goto(peer.url);
    const code = await page.evaluate(`(async () => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
      const { startCall } = await import('/client.js');
      return startCall({ url: location.origin, sessionId: 'sess_1', audio: true }).catch((error) => error.code);
    })()`);
    expect(code).toBe('permission_denied');
    expect(peer.upgrades).toHaveLength(0);
  } finally {
    await page.close();
  }
}, 20_000);

test('the bundle for a page asks for nothing of Node', () => {
  expect(bundle).not.toMatch(/from\s*["']node:/);
});
