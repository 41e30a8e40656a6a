// The far end of a WebRTC call: a peer connection in a second page of the same browser, so that ICE, DTLS, SCTP and RTP
// are real ones. The control plane beside it is the fake one, which hands the offer over.

import type { BrowserContext, Page } from 'playwright-core';
import { type Answer, type Asked, FakeControlPlane, refusal, sessionResource } from '../control-plane.test.fake.ts';
import { ParleyError, type SessionResource } from '@parley/core';

/** How a far end fails, where it does. */
export type Fault = 'no way' | 'no channel' | 'no answer';

export class FarEnd implements AsyncDisposable {
  readonly plane: FakeControlPlane;
  readonly context: BrowserContext;
  /** Frames that came over the channel, of all calls. */
  readonly frames: Record<string, unknown>[] = [];
  /** Offers that came. */
  offers = 0;
  fault: Fault | null = null;
  /** Refuses the next offers with it. */
  refusal: ParleyError | null = null;
  session: Partial<SessionResource> = {};
  readonly closed: { reason?: string }[] = [];
  readonly #page: Page;
  readonly #log: Record<string, unknown>[] = [];
  readonly #tails = new Set<(line: string) => void>();
  #wake: () => void = () => {};

  private constructor(plane: FakeControlPlane, context: BrowserContext, page: Page) {
    this.plane = plane;
    this.context = context;
    this.#page = page;
  }

  /** @param context a fresh context of the browser, which is closed with this. */
  static async open(context: BrowserContext, files: Record<string, string>): Promise<FarEnd> {
    const plane = await FakeControlPlane.start();
    const serve = (path: string, type: string, text: string): void =>
      plane.route(`GET ${path}`, null, (): Answer => ({ text, headers: { 'content-type': type } }));
    serve('/', 'text/html', '<!doctype html><title>call</title>');
    for (const [path, text] of Object.entries(files)) serve(path, 'text/javascript', text);
    const page = await context.newPage();
    await page.goto(plane.url);
    const far = new FarEnd(plane, context, page);
    await page.exposeFunction('tellFrame', (text: string) => far.#hear(text));
    await page.evaluate(FAR_END);
    far.#routes();
    return far;
  }

  /** A page of the caller. */
  async caller(): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(this.plane.url);
    return page;
  }

  /** Sends frames over the channel of the newest call. */
  async say(...frames: Record<string, unknown>[]): Promise<void> {
    await this.#page.evaluate(
      (texts) => window.far.say(texts),
      frames.map((frame) => JSON.stringify(frame)),
    );
  }

  /** Sounds at the caller's, or falls silent. */
  async sound(on: boolean): Promise<void> {
    await this.#page.evaluate((value) => window.far.sound(value), on);
  }

  /** The loudest that the caller was during so many milliseconds. */
  hears(ms: number): Promise<number> {
    return this.#page.evaluate((value) => window.far.hears(value), ms);
  }

  /** Vanishes without a word, as a machine does. */
  async cut(): Promise<void> {
    await this.#page.evaluate('window.far.cut()');
  }

  /** Adds an entry to the session's log. */
  log(event: Record<string, unknown>): void {
    const entry = { seq: this.#log.length + 1, at_ms: 1, ...event };
    this.#log.push(entry);
    for (const tail of this.#tails) tail(lineOf(entry));
  }

  /** Resolves once it is so; looked at after every frame and request. */
  async until(so: () => boolean): Promise<void> {
    while (!so()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  async next(type: string): Promise<Record<string, unknown>> {
    const find = () => this.frames.find((frame) => frame['type'] === type);
    await this.until(() => find() !== undefined);
    return find() as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.context.close();
    await this.plane[Symbol.asyncDispose]();
  }

  #hear(text: string): void {
    this.frames.push(JSON.parse(text) as Record<string, unknown>);
    this.#wake();
  }

  #routes(): void {
    const { plane } = this;
    const path = '/api/v1/sessions/sess_1';
    const resource = (): SessionResource =>
      sessionResource('sess_1', { transport: 'webrtc', last_seq: this.#log.length, ...this.session });
    plane.route(`GET ${path}`, null, () => ({ body: resource(), is: 'SessionResource' }));
    plane.route(`GET ${path}/realtime-call`, null, () => ({
      body: { session_id: 'sess_1', media: 'bridge', status: 'none', ice_servers: [] },
      is: 'CallResource',
    }));
    plane.route(`POST ${path}/close`, 'CloseRequest', ({ body }) => {
      this.closed.push(body as { reason?: string });
      this.#wake();
      return { body: resource() };
    });
    plane.route(`POST ${path}/realtime-offer`, 'OfferRequest', (asked) => this.#offered(asked));
    plane.route(`GET ${path}/events`, null, ({ query }) => (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const tail = (line: string): void => void response.write(line);
      const after = Number(query.get('after') ?? 0);
      response.write(': here\n\n');
      for (const entry of this.#log) if (Number(entry['seq']) > after) tail(lineOf(entry));
      this.#tails.add(tail);
      response.on('close', () => this.#tails.delete(tail));
    });
  }

  #offered({ body }: Asked): Answer {
    this.offers += 1;
    this.#wake();
    if (this.refusal) return refusal(this.refusal);
    const { fault } = this;
    if (fault === 'no answer') return () => {};
    return (response) => {
      void this.#page
        .evaluate(({ sdp, how }) => window.far.answer(sdp, how), { ...(body as { sdp: string }), how: fault })
        .then((answer) => {
          response.writeHead(201, { 'content-type': 'application/json' });
          response.end(JSON.stringify({ answer_sdp: answer }));
        });
    };
  }
}

function lineOf(entry: Record<string, unknown>): string {
  return `id: ${String(entry['seq'])}\nevent: ${String(entry['type'])}\ndata: ${JSON.stringify(entry)}\n\n`;
}

declare global {
  interface Window {
    far: {
      answer: (sdp: string, fault: string | null) => Promise<string>;
      say: (texts: string[]) => void;
      sound: (on: boolean) => void;
      hears: (ms: number) => Promise<number>;
      cut: () => void;
    };
  }
}

// Runs in the far page, so it is text for that page: nothing of this file is there.
const FAR_END = `(() => {
  let pc, channel, told = () => {};
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const volume = new GainNode(context, { gain: 0 });
  const mouth = context.createMediaStreamDestination();
  tone.connect(volume).connect(mouth);
  tone.start();
  const ear = new AnalyserNode(context, { fftSize: 2048 });
  window.far = {
    async answer(sdp, fault) {
      pc = new RTCPeerConnection();
      const mine = pc;
      pc.ondatachannel = (event) => {
        channel = event.channel;
        channel.onmessage = ({ data }) => window.tellFrame(data);
        channel.onopen = () => told();
      };
      pc.ontrack = ({ track }) => {
        const stream = new MediaStream([track]);
        // Chromium feeds a stream from the network into an audio graph only while an element plays it.
        const element = new Audio();
        element.muted = true;
        element.srcObject = stream;
        context.createMediaStreamSource(stream).connect(ear);
      };
      await pc.setRemoteDescription({ type: 'offer', sdp });
      const [transceiver] = pc.getTransceivers();
      transceiver.direction = 'sendrecv';
      await transceiver.sender.replaceTrack(mouth.stream.getAudioTracks()[0]);
      await pc.setLocalDescription();
      while (mine.iceGatheringState !== 'complete') {
        await new Promise((resolve) => mine.addEventListener('icegatheringstatechange', resolve, { once: true }));
      }
      const answer = mine.localDescription.sdp;
      // Port 9 of a documentation network: nobody is there.
      if (fault === 'no way') {
        mine.close();
        return answer.replace(/^(a=candidate:\\S+ \\d+ udp \\d+) \\S+ \\d+/gm, '$1 192.0.2.1 9');
      }
      if (fault === 'no channel') return answer.replace(/^m=application \\d+/m, 'm=application 0');
      return answer;
    },
    say(texts) {
      const send = () => { for (const text of texts) channel.send(text); };
      if (channel && channel.readyState === 'open') send();
      else told = send;
    },
    sound: (on) => volume.gain.setValueAtTime(on ? 0.3 : 0, context.currentTime),
    async hears(ms) {
      const samples = new Float32Array(2048);
      let loudest = 0;
      for (const until = performance.now() + ms; performance.now() < until; ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        ear.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / 2048));
      }
      return loudest;
    },
    cut: () => pc.close(),
  };
})()`;
