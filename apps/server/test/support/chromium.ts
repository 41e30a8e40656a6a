// A real Chromium with a microphone that plays a file, on a page of its own origin.

import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTo, type PageEar } from '@parley/simulator/page';
import { resample, writeWav } from '@parley/simulator/speech';
import { chromium, type Page } from 'playwright-core';

const EXECUTABLE = process.env['PARLEY_CHROMIUM'] ?? '/usr/bin/chromium';
/** Null when it is there. */
export const NO_CHROMIUM = existsSync(EXECUTABLE)
  ? null
  : `no Chromium at ${EXECUTABLE}; PARLEY_CHROMIUM can name another`;

const RATE = 24_000;
const MIC_RATE = 48_000;
export interface Chromium extends AsyncDisposable {
  page: Page;
  origin: string;
  /** What the browser complained about. */
  complaints: string[];
  /** What was received. */
  ear: PageEar;
}

/**
 * A page with these scripts.
 * @param hears what the microphone hears once it is open, PCM16 at 24 kHz, and silence afterwards.
 */
export async function openChromium(scripts: Record<string, string>, hears: Int16Array): Promise<Chromium> {
  await using owned = new AsyncDisposableStack();
  const server = createServer((request, response) => {
    const script = scripts[request.url?.slice(1) ?? ''];
    response.setHeader('content-type', script === undefined ? 'text/html' : 'text/javascript');
    const tags = Object.keys(scripts).map((name) => `<script src="/${name}"></script>`);
    response.end(script ?? `<!doctype html><title>call</title><link rel="icon" href="data:,">${tags.join('')}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  owned.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const folder = mkdtempSync(join(tmpdir(), 'parley-door-'));
  owned.defer(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'microphone.wav');
  const heard = resample(hears, RATE, MIC_RATE);
  const pcm = new Int16Array(MIC_RATE * 2 + heard.length + MIC_RATE);
  pcm.set(heard, MIC_RATE * 2);
  writeFileSync(file, writeWav(pcm, MIC_RATE));
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-audio-capture=${file}%noloop`,
    ],
  });
  owned.defer(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const ear = await listenTo(page);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await page.goto(origin);
  const all = owned.move();
  return {
    page,
    origin,
    complaints,
    ear,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
