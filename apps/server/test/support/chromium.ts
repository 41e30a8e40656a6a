// A real Chromium with a microphone that plays a file, on a page of its own origin.

import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeSpeech, resample, writeWav } from '@parley/simulator/speech';
import { chromium, type Page } from 'playwright-core';

const EXECUTABLE = process.env['PARLEY_CHROMIUM'] ?? '/usr/bin/chromium';
/** Null when it is there. */
export const NO_CHROMIUM = existsSync(EXECUTABLE)
  ? null
  : `no Chromium at ${EXECUTABLE}; PARLEY_CHROMIUM can name another`;

const RATE = 24_000;
const MIC_RATE = 48_000;
/** Of 32 768: what a codec makes of silence is not quite silent. */
const QUIET = 40;
/** Silence that no answer has inside of it: 400 ms. */
const PAUSE_SAMPLES = 9600;

export interface Chromium extends AsyncDisposable {
  page: Page;
  origin: string;
  /** What the browser complained about. */
  complaints: string[];
  /** The words of what was received last: the sound before the last pause. */
  heard: () => Promise<string>;
  /** How much sound was received in all, silence left out. */
  soundMs: () => Promise<number>;
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
    const ours = message.text().includes('ScriptProcessorNode is deprecated');
    if (!ours && ['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.addInitScript(RECORD_WHAT_IS_RECEIVED);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await page.goto(origin);
  const all = owned.move();
  return {
    page,
    origin,
    complaints,
    async heard() {
      const received = await page.evaluate<number[]>('window.received.map((x) => Math.round(x * 32767))');
      return decodeSpeech(lastSound(received), RATE);
    },
    async soundMs() {
      const windows = await page.evaluate<number>(LOUD_WINDOWS);
      return windows * 100;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function lastSound(received: number[]): Int16Array {
  const end = received.findLastIndex((sample) => Math.abs(sample) > QUIET) + 1;
  let start = end;
  for (let quiet = 0; start > 0 && quiet < PAUSE_SAMPLES; start--) {
    quiet = Math.abs(received[start - 1] ?? 0) > QUIET ? 0 : quiet + 1;
  }
  // The decoder wants the silence that follows the last word.
  const sound = new Int16Array(end - start + RATE);
  sound.set(received.slice(start, end));
  return sound;
}

/** Windows of 100 ms in which something was received. */
const LOUD_WINDOWS = `(() => {
  let loud = 0;
  for (let at = 0; at < window.received.length; at += 2400) {
    if (window.received.slice(at, at + 2400).some((x) => Math.abs(x) > 0.01)) loud += 1;
  }
  return loud;
})()`;

// A second ear at every track that comes over a peer connection.
const RECORD_WHAT_IS_RECEIVED = `
  window.received = [];
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', ({ track }) => {
        const context = new AudioContext({ sampleRate: 24000 });
        const source = context.createMediaStreamSource(new MediaStream([track]));
        // Long pieces: a machine that is busy drops fewer of them.
        const tap = context.createScriptProcessor(16384, 1, 1);
        tap.onaudioprocess = ({ inputBuffer }) => window.received.push(...inputBuffer.getChannelData(0));
        source.connect(tap);
        // A processor works only towards an end of the graph; this one is silent.
        const silent = new GainNode(context, { gain: 0 });
        tap.connect(silent);
        silent.connect(context.destination);
      });
    }
  };
`;
