// The talk page in a real Chromium, against a real control plane, simulator and agent.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSpeech } from '@parley/simulator/speech';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Parts, startParts } from '../demo/parts.ts';
import { NO_CHROMIUM, TalkPage } from './chromium.test.support.ts';
import { Line } from './line.test.support.ts';

// Calls take the time that speaking takes.
vi.setConfig({ testTimeout: 60_000 });

const ANSWER = 'Order 42 is a walnut desk. It ships on Friday.';
const folder = mkdtempSync(join(tmpdir(), 'parley-talk-data-'));
let parts: Parts;
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => {
  parts = await startParts({ port: 0, data: join(folder, 'open'), progress: () => {} });
});
afterAll(async () => {
  await parts.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function logOf(session_id: string) {
  return (await parts.client.sessions.events(session_id)).events;
}

function closed(session_id: string): Promise<string> {
  return vi.waitFor(
    async () => {
      const { status, close_reason } = await parts.client.sessions.get(session_id);
      expect(status).toBe('closed');
      return close_reason ?? '';
    },
    { timeout: 10_000 },
  );
}

test('a question crosses the microphone, and the answer, the tool call and the workflow are seen and heard', async () => {
  const hears = await encodeSpeech('where is order 42');
  await using talk = await TalkPage.open(parts.server.url, { hears });
  const boxes = () =>
    Promise.all(['#call', '#mute', '#write', '#tools'].map((id) => talk.page.locator(id).boundingBox()));
  await talk.page.locator('#call:enabled').waitFor();
  const before = await boxes();
  const session = await talk.startCall();
  await talk.said('user', 'where is order 42');
  await talk.said('agent', ANSWER);
  expect(await talk.lines()).toEqual(['user: where is order 42', `agent: ${ANSWER}`]);
  expect(await talk.page.locator('#tools li.succeeded').innerText()).toContain('"spoken_response":"Order 42 is');
  await talk.page.locator('#workflow .node').nth(2).waitFor();
  expect(
    await talk.page.locator('#workflow .node').evaluateAll((nodes) => nodes.map((node) => node.className)),
  ).toEqual(['node running', 'node succeeded', 'node succeeded']);
  const during = await boxes();
  expect(during.slice(0, 3)).toEqual(before.slice(0, 3));

  await talk.state('listening');
  await expect.poll(() => talk.heard(), { timeout: 10_000, interval: 300 }).toBe(ANSWER);

  await talk.page.locator('#call').click();
  await talk.state('ended');
  expect(await closed(session)).toBe('hung_up');
  await talk.page.locator('#workflow .node.running').waitFor({ state: 'detached' });
  expect(talk.complaints).toEqual([]);
});

test('speaking over the answer cuts it, and the log knows how much of it was heard', async () => {
  const first = await encodeSpeech('where is order 42');
  const second = await encodeSpeech('what about order 43');
  const pause = new Int16Array(24_000 * 0.7);
  const hears = Int16Array.from([...first, ...pause, ...second]);
  await using talk = await TalkPage.open(parts.server.url, { hears });
  const session = await talk.startCall();
  await talk.said('agent', 'Order 43 is a reading lamp. It arrives tomorrow.');
  await talk.page.locator('#conversation li.agent small', { hasText: /interrupted after \d\.\d s/ }).waitFor();
  const log = await logOf(session);
  const interrupted = log.find((event) => event.type === 'response.interrupted');
  const truncated = log.find((event) => event.type === 'item.truncated');
  expect(interrupted?.played_ms).toBeGreaterThan(0);
  expect(truncated?.audio_ms).toBeGreaterThan(0);
  const whole = log.find((event) => event.type === 'response.completed' && event.text === ANSWER);
  expect(whole?.type === 'response.completed' ? whole.audio_ms : 0).toBeGreaterThan(truncated?.audio_ms ?? Infinity);
  await talk.state('listening');
  // The first answer was cut inside of its words, so only the second can be understood at the loudspeaker.
  await expect
    .poll(() => talk.heard(), { timeout: 10_000, interval: 300 })
    .toBe('Order 43 is a reading lamp. It arrives tomorrow.');
  expect(talk.complaints).toEqual([]);
});

test('a muted microphone says nothing, and a written question is answered aloud', async () => {
  // What the microphone hears begins after it was muted, and is over before the second answer is.
  const hears = Int16Array.from([...new Int16Array(48_000), ...(await encodeSpeech('where is order 42'))]);
  await using talk = await TalkPage.open(parts.server.url, { hears });
  const session = await talk.startCall();
  await talk.page.locator('#mute').click();
  expect(await talk.page.locator('#mute[aria-pressed="true"]').innerText()).toBe('Unmute');
  await talk.write('where is order 44');
  await talk.said('user', 'where is order 44');
  await talk.said('agent', 'Order 44 is two chairs. It was delivered on Monday.');
  await talk.state('listening');
  await talk.write('where is order 43');
  await talk.said('agent', 'Order 43 is a reading lamp. It arrives tomorrow.');
  await talk.state('listening');
  const log = await logOf(session);
  expect(log.filter(({ type }) => type === 'speech.started')).toEqual([]);
  expect(log.filter(({ type }) => type === 'response.played')).not.toEqual([]);
  await talk.page.locator('#mute').click();
  expect(await talk.page.locator('#mute[aria-pressed="false"]').innerText()).toBe('Mute');
  expect(talk.complaints).toEqual([]);
});

test('a page that is reloaded ends its call and is ready for the next', async () => {
  await using talk = await TalkPage.open(parts.server.url);
  const session = await talk.startCall();
  await talk.page.reload();
  expect(await closed(session)).toBe('client_left');
  await talk.page.locator('#call:enabled', { hasText: 'Start call' }).waitFor();
  expect(await talk.lines()).toEqual([]);
  const next = await talk.startCall();
  expect(next).not.toBe(session);
  expect(talk.complaints).toEqual([]);
});

test('a call whose connection is cut says so, comes back, and goes on', async () => {
  await using line = await Line.to(parts.server.port);
  await using talk = await TalkPage.open(line.url);
  const session = await talk.startCall();
  line.cut();
  await talk.state('reconnecting');
  expect(await talk.page.locator('#state').innerText()).toContain('The connection was cut');
  line.mend();
  await talk.state('listening');
  await talk.write('where is order 42');
  await talk.said('agent', ANSWER);
  expect((await logOf(session)).filter(({ type }) => type === 'client.attached')).toHaveLength(2);
});

test('a server that stops ends the call with a reason', async () => {
  await using own = await startParts({ port: 0, data: join(folder, 'stops'), progress: () => {} });
  await using talk = await TalkPage.open(own.server.url);
  await talk.startCall();
  await own.server.close({ drain_ms: 0 });
  await talk.state('ended');
  expect(await talk.page.locator('#state').innerText()).toMatch(/^The call has ended: \S+/);
  expect(await talk.page.locator('#call').innerText()).toBe('Start call');
});

test('without a microphone the page says why, closes the session, and calls in writing', async () => {
  const cases = [
    { microphone: { refused: true }, message: 'The microphone was refused.' },
    { microphone: { missing: true }, message: 'No microphone was found.' },
  ];
  for (const { microphone, message } of cases) {
    await using talk = await TalkPage.open(parts.server.url, microphone);
    await talk.page.locator('#call:enabled').click();
    await talk.page.locator('#problem', { hasText: message }).waitFor();
    // Newest first.
    const reason = () => parts.client.sessions.list().then(({ sessions }) => sessions[0]?.close_reason);
    await expect.poll(reason, { timeout: 10_000 }).toBe('not_joined');
    await talk.page.locator('#without-microphone').click();
    await talk.state('listening');
    expect(await talk.page.locator('#problem').isVisible()).toBe(false);
    await talk.write('where is order 42');
    await talk.said('agent', ANSWER);
    await talk.state('speaking');
    await talk.page.locator('#call').click();
    await talk.state('ended');
    expect(talk.complaints).toEqual([]);
  }
});

test('a server with a key asks for it, refuses a wrong one, and takes the right one', async () => {
  const key = 'a-key-of-this-test-only';
  await using own = await startParts({ port: 0, data: join(folder, 'keyed'), key, progress: () => {} });
  await using talk = await TalkPage.open(own.server.url);
  await talk.page.locator('#key').waitFor();
  expect(await talk.page.locator('#call').isDisabled()).toBe(true);
  await talk.page.locator('#key').fill('not the key of this one');
  await talk.page.locator('#key').press('Enter');
  await talk.page.locator('#problem', { hasText: 'The key was refused' }).waitFor();
  await talk.page.locator('#key').fill(key);
  await talk.page.locator('#key').press('Enter');
  await talk.page.locator('#key-form').waitFor({ state: 'hidden' });
  await talk.startCall();
  await talk.write('where is order 42');
  await talk.said('agent', ANSWER);
});
