// What the tests of calls over WebRTC share: a browser, a call in a page, and what the page told of it.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, vi } from 'vitest';
import { FarEnd } from './call/far-end.test.support.ts';
import { bundleOf, launch, NO_CHROMIUM } from './call/page.test.support.ts';

export const HELLO = {
  type: 'session.created',
  session: { audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: true } } } },
};
export const PUSH_TO_TALK = { type: 'session.created', session: { audio: { input: { turn_detection: null } } } };

/** A browser for the tests of a file. Returns what opens a far end in it, of its own for each test. */
export function withBrowser(): () => Promise<FarEnd> {
  vi.setConfig({ testTimeout: 30_000 });
  let browser: Browser;
  let bundle = '';
  beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
  beforeAll(async () => {
    if (NO_CHROMIUM !== null) return;
    bundle = await bundleOf('../index.ts');
    browser = await launch();
  }, 60_000);
  afterAll(async () => browser?.close());
  return async () => FarEnd.open(await browser.newContext(), { '/client.js': bundle });
}

/** Starts a call in the page, and keeps what it tells in `window.told`. */
export async function start(page: Page, options = '{ audio: true }'): Promise<void> {
  await page.evaluate(`(async () => {
    const { startCall, callProblemOf } = await import('/client.js');
    const told = (window.told = { states: [], levels: { mic: 0, speaker: 0 }, errors: [], cuts: [], words: [], tools: [], microphone: [], seqs: [] });
    const call = (window.call = await startCall({ url: location.origin, sessionId: 'sess_1', ...(${options}) }));
    call.on('state', (state) => told.states.push(state));
    call.on('level', ({ mic, speaker }) => {
      told.levels.mic = Math.max(told.levels.mic, mic);
      told.levels.speaker = Math.max(told.levels.speaker, speaker);
    });
    call.on('error', (error) => told.errors.push([error.code, callProblemOf(error), error.message]));
    call.on('interruption', (cut) => told.cuts.push(cut));
    call.on('transcript', ({ track, text, final }) => told.words.push(track + ': ' + text + (final ? '.' : '')));
    call.on('tool', ({ name, status }) => told.tools.push(name + ' ' + status));
    call.on('microphone', ({ open }) => told.microphone.push(open));
    call.on('quality', (quality) => (told.quality = quality));
    call.on('event', ({ seq }) => told.seqs.push(seq));
  })()`);
}

/** What an attempt to call fails with: code, problem, message. */
export function failure(page: Page, options = '{ audio: true }'): Promise<[string, string | null, string]> {
  return page.evaluate(`(async () => {
    const { startCall, callProblemOf } = await import('/client.js');
    return startCall({ url: location.origin, sessionId: 'sess_1', ...(${options}) }).then(
      () => { throw new Error('the call came about'); },
      (error) => [error.code, callProblemOf(error), error.message],
    );
  })()`);
}

export function told<T>(page: Page, what: string): Promise<T> {
  return page.evaluate<T>(what);
}

export async function state(page: Page, wanted: string): Promise<void> {
  await page.waitForFunction(`window.call.state === '${wanted}'`, undefined, { polling: 20, timeout: 15_000 });
}
