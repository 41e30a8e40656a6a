// `@openai/agents-realtime` over WebRTC, unmodified, in a real Chromium on a page of another origin, through the OpenAI door.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { encodeSpeech } from '@parley/simulator/speech';
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type Chromium, NO_CHROMIUM, openChromium } from './support/chromium.ts';
import type { Frame } from './support/client.ts';
import { House } from './support/house.ts';
import { type SupportAgent, supportAgent } from './support/support-agent.ts';

// Calls take the time that speaking takes.
vi.setConfig({ testTimeout: 60_000 });

const KEY = 'a-key-of-thirty-two-characters-0';
const BRIDGE = { transport: 'webrtc' as const, media: 'bridge' as const };
const AUDIO = { modalities: ['audio', 'text'] as ('audio' | 'text')[], instructions: 'Be kind.' };
const STORY = 'This is a long story that nobody would want to hear to its very end, so it goes on. '.repeat(6).trim();

let house: House;
let support: SupportAgent;
let agents: string;
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => {
  agents = readFileSync(
    fileURLToPath(new URL('bundle/openai-realtime-agents.umd.js', import.meta.resolve('@openai/agents-realtime'))),
    'utf8',
  );
  house = await House.open({ keys: [KEY] });
  support = supportAgent({ ...BRIDGE, ...AUDIO });
  support.agent.session('native', {
    provider: 'simulator',
    transport: 'webrtc',
    media: 'native',
    ...AUDIO,
    tools: ['find_order'],
  });
  await house.serve(support.agent);
});
afterAll(() => house[Symbol.asyncDispose]());

/** The page of an application: it was given a client secret, and knows of Parley only where it is. */
async function call(page: Chromium['page'], secret: string, url: string): Promise<void> {
  await page.evaluate(
    async ([apiKey, baseUrl]) => {
      const { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession } = (globalThis as never)[
        'OpenAIAgentsRealtime'
      ] as {
        OpenAIRealtimeWebRTC: new (options: object) => unknown;
        RealtimeAgent: new (options: object) => unknown;
        RealtimeSession: new (
          agent: unknown,
          options: object,
        ) => {
          on: (name: string, listener: (event: unknown) => void) => void;
          connect: (options: object) => Promise<void>;
        };
      };
      const kept = { events: [] as unknown[], errors: [] as unknown[] };
      const transport = new OpenAIRealtimeWebRTC({ baseUrl });
      const session = new RealtimeSession(new RealtimeAgent({ name: 'page', instructions: 'Be mine.' }), { transport });
      session.on('transport_event', (event) => kept.events.push(event));
      session.on('error', (error) =>
        kept.errors.push(String((error as { error?: { message?: string } }).error?.message ?? error)),
      );
      Object.assign(globalThis, { kept, session });
      await session.connect({ apiKey });
    },
    [secret, `${url}/v1/realtime/calls`],
  );
}

async function secretOf(model: string): Promise<string> {
  const openai = new OpenAI({ apiKey: KEY, baseURL: `${house.server.url}/v1` });
  return (await openai.realtime.clientSecrets.create({ session: { type: 'realtime', model } })).value;
}

function events(page: Chromium['page']): Promise<Frame[]> {
  return page.evaluate('window.kept.events');
}

async function seen(page: Chromium['page'], fits: (frame: Frame) => boolean): Promise<Frame> {
  return vi.waitFor(
    async () => {
      const found = (await events(page)).find(fits);
      if (!found) throw new Error(`it was not seen among ${(await events(page)).map(({ type }) => type).join(', ')}`);
      return found;
    },
    { timeout: 20_000, interval: 100 },
  );
}

const spoke = (text: string) => (frame: Frame) =>
  frame.type === 'response.output_audio_transcript.done' && frame['transcript'] === text;

/** Words as the page received them. */
async function heard(browser: Chromium, words: string): Promise<void> {
  await expect.poll(() => browser.ear.words(), { timeout: 20_000, interval: 200 }).toBe(words);
}

test('a page with a client secret is heard and answered aloud, and its tool runs on the server', async () => {
  await using browser = await openChromium({ 'agents.js': agents }, await encodeSpeech('order 1'));
  await call(browser.page, await secretOf('support.voice'), house.server.url);
  const created = (await seen(browser.page, ({ type }) => type === 'session.created'))['session'] as { id: string };
  expect(created).toMatchObject({ model: 'support.voice', instructions: '', tools: [] });
  await seen(browser.page, spoke('Order 1 ships on Monday.'));
  await heard(browser, 'Order 1 ships on Monday.');
  expect(support.found.at(-1)).toEqual({ order: '1' });

  await browser.page.evaluate("window.session.sendMessage('order 2')");
  await seen(browser.page, spoke('Order 2 ships on Tuesday.'));
  await heard(browser, 'Order 2 ships on Tuesday.');
  expect(JSON.stringify(await events(browser.page))).not.toContain('find_order');
  expect(await browser.page.evaluate('window.kept.errors')).toEqual([]);
  expect(browser.complaints).toEqual([]);

  const log = await house.api.events(created.id);
  expect(log[0]).toMatchObject({ metadata: { door: 'openai' }, declaration: { instructions: 'Be kind.' } });
  expect(log.map(({ type }) => type)).toContain('media.connected');
  await browser.page.evaluate('window.session.close()');
  expect(await house.api.until(created.id, 'session.closed')).toMatchObject({ reason: 'client_left' });
});

test('speech over an answer cuts it, in the page and for the model', async () => {
  const pause = new Int16Array(24_000 * 3);
  const hears = Int16Array.from([...pause, ...(await encodeSpeech('stop'))]);
  await using browser = await openChromium({ 'agents.js': agents }, hears);
  await call(browser.page, await secretOf('support.voice'), house.server.url);
  const created = (await seen(browser.page, ({ type }) => type === 'session.created'))['session'] as { id: string };
  await browser.page.evaluate(
    (text) => ((globalThis as never)['session'] as { sendMessage: (text: string) => void }).sendMessage(text),
    STORY,
  );
  const { response_id } = await seen(browser.page, ({ type }) => type === 'output_audio_buffer.started');
  const cleared = await seen(browser.page, ({ type }) => type === 'output_audio_buffer.cleared');
  expect(cleared['response_id']).toBe(response_id);
  await seen(browser.page, spoke('You said: stop'));
  const interrupted = await house.api.until(created.id, 'response.interrupted');
  expect(interrupted).toMatchObject({ response_id });
  expect(interrupted.played_ms).toBeGreaterThan(0);
  // The rest of the story was never sent.
  const [story_ms = Number.NaN] = (await browser.ear.sounds()).map((sound) => sound.length / 24);
  expect(story_ms).toBeLessThan(interrupted.played_ms + 60);
});

test('over a call that the provider terminates, what the page makes of the session is put right, and the tool runs here', async () => {
  await using browser = await openChromium({ 'agents.js': agents }, new Int16Array(0));
  await call(browser.page, await secretOf('support.native'), house.server.url);
  await browser.page.evaluate("window.session.sendMessage('order 2')");
  await seen(browser.page, spoke('Order 2 ships on Tuesday.'));
  expect(support.found.at(-1)).toEqual({ order: '2' });
  const { sessions } = await house.api.get<{ sessions: { session_id: string }[] }>(
    '/api/v1/sessions?target=support.native',
  );
  const session_id = sessions[0]?.session_id as string;
  const log = await house.api.events(session_id);
  expect(log.find(({ type }) => type === 'session.tampered')).toMatchObject({
    fields: expect.arrayContaining(['instructions']),
  });
  expect(log.map(({ type }) => type)).toContain('tool.answered');
  await browser.page.evaluate('window.session.close()');
  expect(await house.api.until(session_id, 'session.closed')).toMatchObject({ reason: 'client_left' });
});

test('a page that answers the calls of its model, if only to say that it has no such tool, keeps its call', async () => {
  await using browser = await openChromium({ 'agents.js': agents }, new Int16Array(0));
  const found = support.found.length;
  await call(browser.page, await secretOf('support.native'), house.server.url);
  const { sessions } = await house.api.get<{ sessions: { session_id: string }[] }>(
    '/api/v1/sessions?target=support.native',
  );
  const session_id = sessions[0]?.session_id as string;
  // More of them than changes of a session are put up with.
  const orders = ['1', '2', '3', '4', '5'];
  for (const [n, order] of orders.entries()) {
    await browser.page.evaluate(`window.session.sendMessage('order ${order}')`);
    await vi.waitFor(async () => {
      const log = await house.api.events(session_id);
      expect(log.filter(({ type }) => type === 'client.rejected')).toHaveLength(n + 1);
      expect(log.filter(({ type }) => type === 'tool.answered')).toHaveLength(n + 1);
      const begun = log.filter(({ type }) => type === 'response.started').length;
      expect(log.filter(({ type }) => type === 'response.completed')).toHaveLength(begun);
    }, 10_000);
  }
  expect(support.found.slice(found)).toEqual(orders.map((order) => ({ order })));
  expect((await house.api.events(session_id)).map(({ type }) => type)).not.toContain('session.closing');
  await browser.page.evaluate('window.session.close()');
});

test('a page whose secret is over reads why', async () => {
  await using browser = await openChromium({ 'agents.js': agents }, new Int16Array(0));
  await expect(call(browser.page, 'ek_of-yesterday', house.server.url)).rejects.toThrow(
    /status 401.*the client secret was not issued by this server/s,
  );
});
