// A bare page in a real Chromium: its microphone plays a file, and what it receives is kept.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { vi } from 'vitest';
import { resample, writeWav } from '@parley/transport/audio';
import { listenTo, type PageEar } from '../page.ts';
import type { ServerEvent, Wire } from '../wire.ts';

const EXECUTABLE = process.env['PARLEY_CHROMIUM'] ?? '/usr/bin/chromium';
/** Null when it is there. */
export const NO_CHROMIUM = existsSync(EXECUTABLE)
  ? null
  : `no Chromium at ${EXECUTABLE}; PARLEY_CHROMIUM can name another`;

const RATE = 24_000;
const MIC_RATE = 48_000;
/** Connecting comes first: nobody speaks the moment a microphone opens. */
const BEFORE_MS = 2_500;

export class BrowserPage implements AsyncDisposable {
  readonly page: Page;
  readonly ear: PageEar;
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #server: Server;
  readonly #folder: string;

  private constructor(browser: Browser, page: Page, ear: PageEar, server: Server, folder: string) {
    this.#browser = browser;
    this.page = page;
    this.ear = ear;
    this.#server = server;
    this.#folder = folder;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') this.complaints.push(message.text());
    });
  }

  /** Opens a page that has the files given, by path, as modules. */
  static async open(hears: Int16Array, files: Record<string, string> = {}): Promise<BrowserPage> {
    const server = createServer((request, response) => {
      const file = files[request.url ?? ''];
      response.setHeader('content-type', file === undefined ? 'text/html' : 'text/javascript');
      response.end(file ?? '<!doctype html><link rel="icon" href="data:,"><title>call</title>');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const folder = mkdtempSync(join(tmpdir(), 'parley-call-'));
    const wav = join(folder, 'microphone.wav');
    const heard = resample(hears, RATE, MIC_RATE);
    const silence = (MIC_RATE * BEFORE_MS) / 1000;
    const pcm = new Int16Array(silence + heard.length + MIC_RATE);
    pcm.set(heard, silence);
    writeFileSync(wav, writeWav(pcm, MIC_RATE));
    const browser = await chromium.launch({
      executablePath: EXECUTABLE,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        `--use-file-for-fake-audio-capture=${wav}%noloop`,
        '--autoplay-policy=no-user-gesture-required',
      ],
    });
    const page = await browser.newPage();
    const ear = await listenTo(page);
    await page.addInitScript(CALL);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return new BrowserPage(browser, page, ear, server, folder);
  }

  /** Calls as the provider's documentation has it: an offer without candidates, and a data channel. */
  async call(url: string, key: string): Promise<{ location: string | null }> {
    const location = await this.page.evaluate<string | null>(`window.call(${JSON.stringify({ url, key })})`);
    return { location };
  }

  events(): Promise<ServerEvent[]> {
    return this.page.evaluate<ServerEvent[]>('window.events');
  }

  send(event: Wire): Promise<void> {
    return this.page.evaluate(`window.channel.send(${JSON.stringify(JSON.stringify(event))})`);
  }

  /** Resolves when that many events of a type have come. */
  async until(type: string, count = 1): Promise<void> {
    await this.page.waitForFunction(
      `window.events.filter((event) => event.type === ${JSON.stringify(type)}).length >= ${count}`,
      undefined,
      { timeout: 30_000 },
    );
  }

  /** Resolves when these words were received. */
  async understands(words: string): Promise<void> {
    await vi.waitFor(
      async () => {
        const heard = await this.ear.words();
        if (heard !== words)
          throw new Error(`expected to hear ${JSON.stringify(words)}, heard ${JSON.stringify(heard)}`);
      },
      { timeout: 20_000, interval: 200 },
    );
  }

  /** Types a text and asks for an answer. */
  async type(text: string): Promise<void> {
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    await this.send({ type: 'conversation.item.create', item });
    await this.send({ type: 'response.create' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const CALL = `
  window.events = [];
  window.microphone = () => navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  window.call = async ({ url, key }) => {
    const peer = (window.peer = new RTCPeerConnection());
    for (const track of (await window.microphone()).getTracks()) peer.addTrack(track);
    window.channel = peer.createDataChannel('oai-events');
    window.channel.onmessage = ({ data }) => window.events.push(JSON.parse(data));
    await peer.setLocalDescription(await peer.createOffer());
    const response = await fetch(url + '/v1/realtime/calls', {
      method: 'POST',
      headers: { authorization: 'Bearer ' + key, 'content-type': 'application/sdp' },
      body: peer.localDescription.sdp,
    });
    await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    return response.headers.get('location');
  };
`;
