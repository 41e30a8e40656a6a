// Chromium with a microphone that plays a file, and the talk page as a person sees it.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTo, type PageEar } from '@parley/simulator/page';
import { decodeSpeech, resample, writeWav } from '@parley/simulator/speech';
import { type Browser, chromium, type Page } from 'playwright-core';

const EXECUTABLE = process.env['PARLEY_CHROMIUM'] ?? '/usr/bin/chromium';
/** Null when it is there. */
export const NO_CHROMIUM = existsSync(EXECUTABLE)
  ? null
  : `no Chromium at ${EXECUTABLE}; PARLEY_CHROMIUM can name another`;

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];
/** What calls sound at, and what the page's loudspeaker runs at. */
const SAMPLE_RATE = 24_000;
/** Silence at the loudspeaker that no answer has inside of it: 400 ms at 24 kHz. */
const PAUSE_SAMPLES = 9600;
/** Of 32 768: what a codec makes of silence is not quite silent. */
const QUIET = 40;
const MIC_RATE = 48_000;
/** Nobody speaks the moment a microphone opens. */
const BEFORE_MS = 1500;

export interface Microphone {
  /** What it hears once it is open, PCM16 at 24 kHz, and silence afterwards. */
  hears?: Int16Array;
  /** A person who refuses, or a machine without one. */
  refused?: boolean;
  missing?: boolean;
}

export class TalkPage implements AsyncDisposable {
  readonly page: Page;
  /** What it receives over WebRTC, where no node of the page plays. */
  readonly ear: PageEar;
  /** What the browser complained about: errors, warnings, violations of the page's policy. */
  readonly complaints: string[] = [];
  readonly #browser: Browser;
  readonly #folder: string;

  private constructor(browser: Browser, page: Page, ear: PageEar, folder: string) {
    this.#browser = browser;
    this.page = page;
    this.ear = ear;
    this.#folder = folder;
    page.on('console', (message) => {
      const ours = message.text().includes('ScriptProcessorNode is deprecated');
      if (!ours && ['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
  }

  static async open(url: string, microphone: Microphone = {}): Promise<TalkPage> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-talk-'));
    const file = join(folder, 'microphone.wav');
    const heard = resample(microphone.hears ?? new Int16Array(0), SAMPLE_RATE, MIC_RATE);
    const silence = (MIC_RATE * BEFORE_MS) / 1000;
    const pcm = new Int16Array(silence + heard.length + MIC_RATE);
    pcm.set(heard, silence);
    writeFileSync(file, writeWav(pcm, MIC_RATE));
    const devices = [
      ...(microphone.missing ? [] : ['--use-fake-device-for-media-stream']),
      ...(microphone.refused || microphone.missing ? [] : ['--use-fake-ui-for-media-stream']),
      `--use-file-for-fake-audio-capture=${file}%noloop`,
    ];
    const browser = await chromium.launch({ executablePath: EXECUTABLE, args: [...ARGS, ...devices] });
    const page = await browser.newPage({ viewport: { width: 1100, height: 760 } });
    const talk = new TalkPage(browser, page, await listenTo(page), folder);
    await page.addInitScript(RECORD_WHAT_IS_PLAYED);
    await page.addInitScript(KEEP_CHANNELS);
    await page.goto(`${url}/talk`);
    return talk;
  }

  /** @param target which of the offered sessions; the one that is chosen already when it is left out. */
  async startCall(target?: string): Promise<string> {
    await this.page.locator('#call:enabled').waitFor();
    if (target !== undefined) await this.page.locator('#target').selectOption(target);
    await this.page.locator('#call:enabled').click();
    await this.state('listening');
    return this.session();
  }

  /** Resolves when the page shows this state of the call. */
  async state(state: string, timeout = 20_000): Promise<void> {
    await this.page.locator(`body[data-state="${state}"]`).waitFor({ timeout });
  }

  async session(): Promise<string> {
    return (await this.page.locator('body').getAttribute('data-session')) ?? '';
  }

  /** The conversation as it stands: `user: words`. */
  lines(): Promise<string[]> {
    return this.page
      .locator('#conversation li')
      .evaluateAll((lines) => lines.map((line) => `${line.className}: ${line.textContent}`));
  }

  /** Resolves when a finished line of one side holds these words. */
  async said(track: 'user' | 'agent', words: string): Promise<void> {
    await this.page.locator(`#conversation li.${track}:not(.partial)`, { hasText: words }).last().waitFor();
  }

  /** The words of what the loudspeaker played last: the sound since the last pause. */
  async heard(): Promise<string> {
    const last = (await this.sounds()).at(-1) ?? new Int16Array(0);
    // The decoder wants the silence that follows the last word.
    const heard = new Int16Array(last.length + SAMPLE_RATE);
    heard.set(last);
    return decodeSpeech(heard, SAMPLE_RATE);
  }

  /** What the loudspeaker played, from pause to pause: PCM16 at 24 kHz. */
  async sounds(): Promise<Int16Array[]> {
    const played = await this.page.evaluate<number[]>('window.played.map((x) => Math.round(x * 32767))');
    const sounds: Int16Array[] = [];
    let start = -1;
    let end = -1;
    for (const [at, sample] of [...played, ...Array<number>(PAUSE_SAMPLES).fill(0)].entries()) {
      if (Math.abs(sample) > QUIET) {
        if (start < 0) start = at;
        end = at + 1;
      } else if (start >= 0 && at - end >= PAUSE_SAMPLES - 1) {
        sounds.push(Int16Array.from(played.slice(start, end)));
        start = -1;
      }
    }
    return sounds;
  }

  async write(text: string): Promise<void> {
    await this.page.locator('#text').fill(text);
    await this.page.locator('#send').click();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

// A second ear at the loudspeaker: what any node connects to the destination is kept as well.
const RECORD_WHAT_IS_PLAYED = `
  window.played = [];
  const { connect } = AudioNode.prototype;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const tap = this.context.createScriptProcessor(16384, 1, 1);
      tap.onaudioprocess = ({ inputBuffer }) => window.played.push(...inputBuffer.getChannelData(0));
      connect.call(this, tap);
      connect.call(tap, target);
    }
    return connect.call(this, target, ...rest);
  };
`;

// The channel of a call over WebRTC, with what the page said over it: a test can look, and can say what a page should not.
const KEEP_CHANNELS = `
  window.sent = [];
  window.channels = [];
  window.connections = [];
  const { createDataChannel } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.createDataChannel = function (...options) {
    const channel = createDataChannel.apply(this, options);
    const { send } = channel;
    channel.send = (text) => {
      window.sent.push(JSON.parse(text));
      send.call(channel, text);
    };
    window.channels.push(channel);
    window.connections.push(this);
    return channel;
  };
`;
