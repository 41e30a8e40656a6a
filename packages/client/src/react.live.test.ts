// `useCall` in a real React page, in StrictMode, against a far end that is a page as well.

import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { FarEnd } from './call/far-end.test.support.ts';
import { bundleOf, complaintsOf, launch, NO_CHROMIUM } from './call/page.test.support.ts';

vi.setConfig({ testTimeout: 30_000 });

let browser: Browser;
let bundle = '';
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => {
  if (NO_CHROMIUM !== null) return;
  bundle = await bundleOf('../react-page.test.support.ts');
  browser = await launch();
}, 60_000);
afterAll(async () => browser?.close());

const HELLO = {
  type: 'session.created',
  session: { audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: true } } } },
};

async function mounted(): Promise<{ far: FarEnd; page: Page; complaints: string[] }> {
  const far = await FarEnd.open(await browser.newContext(), { '/page.js': bundle });
  const page = await far.caller();
  const complaints = complaintsOf(page);
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('status of')) complaints.push(message.text());
  });
  await page.evaluate("import('/page.js')");
  await page.locator('#state', { hasText: 'idle' }).waitFor();
  return { far, page, complaints };
}

const text = (page: Page, id: string): Promise<string> => page.locator(id).innerText();

test('a call is started once in StrictMode, its words are rendered as they grow, and leaving ends it', async () => {
  const { far, page, complaints } = await mounted();
  await using _ = far;
  // Twice, as a hand does: the second click joins the first.
  await page.evaluate("document.querySelector('#start').click(), document.querySelector('#start').click()");
  await far.until(() => far.offers === 1);
  await far.say(HELLO, {
    type: 'response.output_audio_transcript.delta',
    response_id: 'r',
    item_id: 'item_1',
    delta: 'Hel',
  });
  await page.locator('#lines', { hasText: /^agent: Hel…$/ }).waitFor();
  await far.say({
    type: 'response.output_audio_transcript.done',
    response_id: 'r',
    item_id: 'item_1',
    transcript: 'Hello',
  });
  await page.locator('#lines', { hasText: /^agent: Hello$/ }).waitFor();
  far.log({
    type: 'tool.dispatched',
    call_id: 'c',
    name: 'lookup',
    target: 'a.lookup',
    execution_id: 'e',
    input: { order: 1 },
  });
  far.log({
    type: 'tool.completed',
    call_id: 'c',
    name: 'lookup',
    execution_id: 'e',
    status: 'succeeded',
    output: 2,
    duration_ms: 3,
  });
  await page.locator('#tools', { hasText: '{"order":1} succeeded 2' }).waitFor();
  expect(await text(page, '#state')).toBe('listening');
  expect(await text(page, '#path')).toBe('webrtc');
  await page.locator('#mute').click();
  await page.locator('#muted', { hasText: 'true' }).waitFor();
  await page.waitForFunction("Number(document.querySelector('#level').textContent) === 0");
  expect(far.offers).toBe(1);
  // Every render had the same functions.
  expect(await page.evaluate('window.identities.size')).toBe(1);
  await page.locator('#unmount').click();
  await far.until(() => far.closed.length > 0);
  expect(far.closed).toEqual([{ reason: 'aborted' }]);
  expect(complaints).toEqual([]);
});

test('what keeps a call from coming about is rendered, nothing is thrown, and the next try may work', async () => {
  const { far, page, complaints } = await mounted();
  await using _ = far;
  far.fault = 'no channel';
  await page.locator('#start').click();
  await page.locator('#error', { hasText: 'channel_failed' }).waitFor();
  expect(await text(page, '#state')).toBe('ended');
  far.fault = null;
  await page.locator('#start').click();
  await far.until(() => far.offers === 2);
  await far.say(HELLO);
  await page.locator('#state', { hasText: 'listening' }).waitFor();
  expect(await text(page, '#error')).toBe('');
  await page.locator('#hang-up').click();
  await page.locator('#state', { hasText: 'ended' }).waitFor();
  expect(far.closed).toEqual([{ reason: 'hung_up' }]);
  expect(complaints).toEqual([]);
});

test('a component that goes while its call is started leaves nothing behind', async () => {
  const { far, page, complaints } = await mounted();
  await using _ = far;
  far.fault = 'no answer';
  await page.locator('#start').click();
  await far.until(() => far.offers === 1);
  await page.locator('#unmount').click();
  await page.waitForFunction("window.streams.every((stream) => stream.getTracks()[0].readyState === 'ended')");
  expect(complaints).toEqual([]);
});

test('React is asked for by its own entry alone', () => {
  const entry = readFileSync(new URL('../dist/bundle/browser.js', import.meta.url), 'utf8');
  expect(entry).not.toContain('useSyncExternalStore');
});
