// A page on a WebRTC call, without a browser: it offers, speaks Opus from a microphone that never stops, and keeps what
// it hears and every frame of its data channel.

import { type StartResponse } from '@parley/core';
import {
  type MediaChannel,
  type MediaEnd,
  type MediaPeer,
  type MediaPeerOptions,
  OpusIn,
  OpusOut,
  openMediaPeer,
} from '@parley/media';
import { decodeSpeech, encodeSpeech } from '@parley/simulator/speech';
import type { Frame } from './client.ts';

const RATE = 24_000;

export interface CallerOptions {
  /** The offer, as it would go to the server. */
  change?: (offer: string) => string;
  /** Query of the offer. */
  query?: string;
  headers?: Record<string, string>;
  /** Which way its media go. */
  media?: MediaPeerOptions;
}

export class Caller implements AsyncDisposable {
  readonly peer: MediaPeer;
  readonly channel: MediaChannel;
  readonly frames: Frame[] = [];
  readonly ended: Promise<MediaEnd>;
  readonly channelClosed: Promise<unknown>;
  readonly #mouth: OpusOut;
  readonly #ear: OpusIn;
  #heard: Int16Array[] = [];
  #samples = 0;
  /** Where sound was last heard, in samples since the beginning. */
  #loudAt = 0;
  #seen = 0;
  #wakes = new Set<() => void>();
  #over = false;

  private constructor(peer: MediaPeer) {
    this.peer = peer;
    this.channel = peer.openChannel('oai-events');
    this.#mouth = new OpusOut({ rate: RATE, send: (...packet) => void peer.sendAudio(...packet) });
    this.#ear = new OpusIn({ rate: RATE, onPcm: (samples) => this.#hear(samples) });
    peer.onAudio((packet) => this.#ear.push(packet));
    peer.onConnected(() => this.#mouth.start());
    this.ended = new Promise((resolve) => peer.onEnd(resolve));
    this.channelClosed = new Promise((resolve) => this.channel.onClose(resolve));
    void this.channelClosed.then(() => {
      this.#over = true;
      this.#wake();
    });
    this.channel.onFrame((frame) => {
      this.frames.push(JSON.parse(frame.toString()) as Frame);
      this.#wake();
    });
  }

  static async open(media: MediaPeerOptions = {}): Promise<Caller> {
    return new Caller(await openMediaPeer({ connectMs: 5000, lostMs: 1000, ...media }));
  }

  /** Calls a session, and waits until frames can flow. */
  static async call(url: string, session: StartResponse, options: CallerOptions = {}): Promise<Caller> {
    const caller = await Caller.open(options.media);
    try {
      const { status, text } = await caller.offer(url, session, options);
      if (status !== 201) throw new Error(`the offer was answered ${status}: ${text}`);
      await caller.peer.accept(text);
      await caller.opened();
      return caller;
    } catch (error) {
      await caller[Symbol.asyncDispose]();
      throw error;
    }
  }

  async offer(
    url: string,
    session: StartResponse,
    { change = (offer) => offer, query = '', headers = {} }: CallerOptions = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(`${url}${session.urls.realtime_offer}${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${session.client_token}`, ...headers },
      body: change(await this.peer.offer()),
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.channel.onOpen(resolve);
      void this.ended.then((end) => reject(end.kind === 'failed' ? end.error : new Error('the call was closed')));
    });
  }

  send(frame: unknown): void {
    this.channel.send(JSON.stringify(frame));
  }

  ask(text: string): void {
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    this.send({ type: 'response.create' });
  }

  /** Speaks a text, in real time. */
  async speak(text: string): Promise<void> {
    this.#mouth.push(await encodeSpeech(text, { sampleRate: RATE }));
    this.#mouth.end();
  }

  /** The next frame of this type, after those that were waited for before. */
  async next(type: string, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      while (this.#seen < this.frames.length) {
        const frame = this.frames[this.#seen] as Frame;
        this.#seen += 1;
        if (frame.type === type && fits(frame)) return frame;
      }
      if (this.#over) {
        throw new Error(
          `no ${type} before the end, after ${this.frames
            .slice(-10)
            .map((one) => one.type)
            .join(', ')}`,
        );
      }
      await this.#woken();
    }
  }

  /** Forgets what was heard so far. */
  deaf(): void {
    this.#heard = [];
  }

  /** Milliseconds of media that came. */
  get heardMs(): number {
    return (this.#samples * 1000) / RATE;
  }

  /** How long it has been silent, by the media's own clock. */
  get silentMs(): number {
    return ((this.#samples - this.#loudAt) * 1000) / RATE;
  }

  /** Resolves when the answer has been silent for so long. */
  async silent(ms: number): Promise<void> {
    while (this.silentMs < ms) await this.#woken();
  }

  async sounds(): Promise<void> {
    while (this.silentMs > 20 || this.#loudAt === 0) await this.#woken();
  }

  /** The words in what was heard, once it is silent. */
  async words(): Promise<string> {
    await this.sounds();
    await this.silent(600);
    const pcm = new Int16Array(this.#heard.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of this.#heard) {
      pcm.set(piece, at);
      at += piece.length;
    }
    this.deaf();
    return decodeSpeech(pcm, RATE);
  }

  #hear(samples: Int16Array): void {
    this.#heard.push(samples);
    this.#samples += samples.length;
    if (samples.some((sample) => Math.abs(sample) > 300)) this.#loudAt = this.#samples;
    this.#wake();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => this.#wakes.add(resolve));
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#mouth.close();
    this.#ear.close();
    this.peer.close();
    await this.ended;
  }
}
