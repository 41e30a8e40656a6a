// Calls from a real Chromium: by hand, and by the provider's own client.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { parseScript, startSimulator, type Simulator } from '../index.ts';
import { encodeSpeech } from '../speech.ts';
import { BrowserPage, NO_CHROMIUM } from './browser-page.test.support.ts';

// Calls take the time that speaking takes.
vi.setConfig({ testTimeout: 90_000 });
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));

const SCRIPT = parseScript(
  'rules: [{ heard: "order (\\\\d+)", say: "Order $1 ships on Friday." }, { heard: "talk", say: "a long answer that goes on and on so that there is plenty of time to speak over it" }]',
);

async function secretOf(simulator: Simulator): Promise<string> {
  const response = await fetch(`${simulator.url}/v1/realtime/client_secrets`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test' },
  });
  return ((await response.json()) as { value: string }).value;
}

/** Answers are coded, so that their words can be read in what was received. */
const CODED = { script: SCRIPT, voice: 'coded' } as const;

for (const mediaDriver of ['node-datachannel', 'werift'] as const) {
  test(`a bare page calls, is understood and understands (${mediaDriver})`, async () => {
    await using simulator = await startSimulator({ ...CODED, mediaDriver });
    await using page = await BrowserPage.open(await encodeSpeech('where is order 1042'));
    const { location } = await page.call(simulator.url, await secretOf(simulator));
    expect(location).toMatch(/^\/v1\/realtime\/calls\/rtc_/u);
    await page.until('output_audio_buffer.stopped');
    expect(simulator.sessions()[0]?.heard).toEqual(['where is order 1042']);
    await page.understands('Order 1042 ships on Friday.');
    const types = (await page.events()).map(({ type }) => type);
    expect(types[0]).toBe('session.created');
    expect(types).not.toContain('response.output_audio.delta');
    expect(page.complaints).toEqual([]);
    await page.page.evaluate('window.peer.close()');
    await expect.poll(() => simulator.calls()).toEqual([]);
  });
}

test('speaking over an answer silences the page', async () => {
  await using simulator = await startSimulator(CODED);
  const pause = new Int16Array(24_000 * 0.5);
  const hears = Int16Array.from([...(await encodeSpeech('talk')), ...pause, ...(await encodeSpeech('order 7'))]);
  await using page = await BrowserPage.open(hears);
  await page.call(simulator.url, await secretOf(simulator));
  await page.until('output_audio_buffer.cleared');
  await page.until('conversation.item.truncated');
  const truncated = (await page.events()).find(({ type }) => type === 'conversation.item.truncated');
  await page.understands('Order 7 ships on Friday.');
  // Nothing sounded any more of what the model was told to be unheard: at most what the codec makes of an end.
  const [cut_ms = Number.NaN] = (await page.ear.sounds()).map((sound) => sound.length / 24);
  expect(cut_ms).toBeGreaterThan(0);
  expect(cut_ms).toBeLessThan(Number(truncated?.['audio_end_ms']) + 60);
  expect(page.complaints).toEqual([]);
});

test('the client of the provider holds a call, with a tool and an interruption', async () => {
  await using simulator = await startSimulator({
    voice: 'coded',
    script: parseScript(
      'rules: [{ heard: "order (\\\\d+)", call: { name: lookup_order, arguments: { order: "$1" } }, then: "It ships on {{output.ship_day}}." }]',
    ),
  });
  const hears = await encodeSpeech('where is order 1042');
  await using page = await BrowserPage.open(hears, clientFiles());
  await page.page.evaluate(
    `(async ({ url, key }) => {
      const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC, tool } = await import('/openai-realtime-agents.mjs');
      window.tools = [];
      const lookup = tool({
        name: 'lookup_order',
        description: 'When an order ships.',
        strict: false,
        parameters: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'], additionalProperties: true },
        execute: async (input) => { window.tools.push(input); return JSON.stringify({ ship_day: 'Friday' }); },
      });
      const transport = new OpenAIRealtimeWebRTC({
        baseUrl: url + '/v1/realtime/calls',
        mediaStream: await window.microphone(),
      });
      const session = (window.session = new RealtimeSession(new RealtimeAgent({ name: 'shop', instructions: 'Help.', tools: [lookup] }), { transport, model: 'gpt-realtime-2.1' }));
      session.on('error', (error) => window.failed = JSON.stringify(error));
      session.on('transport_event', (event) => window.events.push(event));
      await session.connect({ apiKey: key });
    })(${JSON.stringify({ url: simulator.url, key: await secretOf(simulator) })})`,
  );
  await page.until('output_audio_buffer.stopped');
  expect(await page.page.evaluate('window.tools')).toEqual([{ order: '1042' }]);
  await page.understands('It ships on Friday.');
  const started = (await page.events()).filter(({ type }) => type === 'output_audio_buffer.started').length;
  await page.page.evaluate(`window.session.sendMessage('order 43')`);
  await page.until('output_audio_buffer.started', started + 1);
  await page.page.evaluate('window.session.interrupt()');
  await page.until('output_audio_buffer.cleared');
  expect(await page.page.evaluate('window.failed ?? null')).toBeNull();
  expect(page.complaints).toEqual([]);
});

/** The client as a page loads it: the package brings files for that. */
function clientFiles(): Record<string, string> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@openai/agents-realtime')), 'bundle');
  const names = readdirSync(folder).filter((name) => name.endsWith('.mjs'));
  return Object.fromEntries(names.map((name) => [`/${name}`, readFileSync(join(folder, name), 'utf8')]));
}
