// An ear in a page under test: what it receives over WebRTC, taken where the network ends and the browser's playback
// begins. A browser that waits for a core drops sound while it plays; it has received all of it.

import { OpusIn } from '@parley/media';
import { decodeSpeech } from './speech/coded-speech.ts';

const RATE = 24_000;
const WORKER = '/parley-page-ear.js';

/** What is needed of a page; one of Playwright has it. */
export interface TestedPage {
  addInitScript(script: string): Promise<unknown>;
  route(
    url: string,
    handler: (route: { fulfill(answer: { contentType: string; body: string }): Promise<void> }) => unknown,
  ): Promise<unknown>;
  evaluate<T>(expression: string): Promise<T>;
}

export interface ListenOptions {
  /** Sound that is kept, in milliseconds; what is older is forgotten. Default 5 minutes. */
  keepMs?: number | undefined;
  /** How much silence parts two sounds, in milliseconds. Default 400: more than any answer of the simulator has inside. */
  pauseMs?: number | undefined;
}

export interface PageEar {
  /** What was received since the page was opened or since `forget`, PCM16 at 24 kHz. */
  received(): Promise<Int16Array>;
  /** The same from pause to pause, without the silence between. */
  sounds(): Promise<Int16Array[]>;
  /** The words of the last sound, where it was coded speech; else ''. */
  words(): Promise<string>;
  forget(): Promise<void>;
}

/**
 * Listens to the calls of a page; before the page is opened (`goto`). Its own policy (CSP) has to allow workers of its
 * origin. Needs a browser with `RTCRtpScriptTransform`.
 *
 * @example
 * const ear = await listenTo(page);
 * await page.goto(url);
 * await expect.poll(() => ear.words()).toBe('Order 42 ships on Friday.');
 */
export async function listenTo(
  page: TestedPage,
  { keepMs = 300_000, pauseMs = 400 }: ListenOptions = {},
): Promise<PageEar> {
  await page.route(`**${WORKER}`, (route) => route.fulfill({ contentType: 'text/javascript', body: TRANSFORM }));
  await page.addInitScript(ATTACH);
  const heard = new Heard((keepMs * RATE) / 1000);
  const listen = async (): Promise<Int16Array> => {
    heard.take(await page.evaluate<Packet[]>('window.parleyPageEar.splice(0)'));
    return heard.samples();
  };
  return {
    received: listen,
    sounds: async () => soundsIn(await listen(), (pauseMs * RATE) / 1000),
    async words() {
      const last = soundsIn(await listen(), (pauseMs * RATE) / 1000).at(-1);
      if (!last) return '';
      // The decoder wants the silence that follows the last word.
      const sound = new Int16Array(last.length + RATE);
      sound.set(last);
      return decodeSpeech(sound, RATE);
    },
    async forget() {
      await listen();
      heard.forget();
    },
  };
}

/** Source, sequence number, timestamp, Opus in base64. */
type Packet = [ssrc: number, sequence: number, timestamp: number, opus: string];

/** Nothing is played here, so nothing is ever late. */
const STILL = { now: () => 0, after: () => ({ cancel: () => undefined }) };

class Heard {
  readonly #max: number;
  readonly #ear: OpusIn;
  #parts: Int16Array[] = [];
  #length = 0;

  constructor(max: number) {
    this.#max = max;
    this.#ear = new OpusIn({ rate: RATE, clock: STILL, onPcm: (samples) => this.#keep(samples) });
  }

  take(packets: readonly Packet[]): void {
    for (const [ssrc, sequence, timestamp, opus] of packets) {
      const payload = Buffer.from(opus, 'base64');
      this.#ear.push({ ssrc, sequence, timestamp, payload, payloadType: 0, marker: false });
    }
  }

  samples(): Int16Array {
    const all = new Int16Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  forget(): void {
    this.#parts = [];
    this.#length = 0;
  }

  #keep(samples: Int16Array): void {
    this.#parts.push(samples);
    this.#length += samples.length;
    while (this.#length > this.#max) this.#length -= this.#parts.shift()?.length ?? 0;
  }
}

/** Of 32 768: what a codec makes of silence is not quite silent. */
const QUIET = 40;

function soundsIn(samples: Int16Array, pause: number): Int16Array[] {
  const sounds: Int16Array[] = [];
  let start = -1;
  let end = -1;
  for (const [at, sample] of samples.entries()) {
    if (Math.abs(sample) > QUIET) {
      if (start >= 0 && at - end >= pause) {
        sounds.push(samples.slice(start, end));
        start = -1;
      }
      if (start < 0) start = at;
      end = at + 1;
    }
  }
  if (start >= 0) sounds.push(samples.slice(start, end));
  return sounds;
}

// A worker of its own: a page that is busy takes no packet late. Whoever offers has its receivers before there is a
// description, and Chromium transforms nothing of a receiver that is asked later.
const ATTACH = `{
  window.parleyPageEar = [];
  let worker = null;
  const attach = (connection) => {
    for (const receiver of connection.getReceivers()) {
      if (receiver.track.kind !== 'audio' || receiver.transform) continue;
      if (!worker) {
        worker = new Worker('${WORKER}');
        worker.onmessage = ({ data }) => window.parleyPageEar.push(data);
      }
      receiver.transform = new RTCRtpScriptTransform(worker);
    }
  };
  const Connection = window.RTCPeerConnection;
  if (Connection) window.RTCPeerConnection = class extends Connection {
    constructor(...given) {
      super(...given);
      this.addEventListener('track', () => attach(this));
    }
    addTrack(...given) {
      const sender = super.addTrack(...given);
      attach(this);
      return sender;
    }
    addTransceiver(...given) {
      const transceiver = super.addTransceiver(...given);
      attach(this);
      return transceiver;
    }
  };
}`;
const TRANSFORM = `
onrtctransform = ({ transformer: { readable, writable } }) => {
  const hear = (frame, out) => {
    const { synchronizationSource, sequenceNumber, rtpTimestamp } = frame.getMetadata();
    const opus = btoa(String.fromCharCode(...new Uint8Array(frame.data)));
    postMessage([synchronizationSource, sequenceNumber, rtpTimestamp, opus]);
    out.enqueue(frame);
  };
  readable.pipeThrough(new TransformStream({ transform: hear })).pipeTo(writable).catch(() => undefined);
};
`;
