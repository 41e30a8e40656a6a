// A client of a session, bare: whatever a test wants to send, and every frame that came, in order.

import { once } from 'node:events';
import { CLIENT_SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX, type StartResponse } from '@parley/core';
import { type ClientOptions, WebSocket } from 'ws';

export interface Frame {
  type: string;
  [field: string]: unknown;
}

export class Client implements AsyncDisposable {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #seen = 0;
  #wake: () => void = () => undefined;
  #over: { code: number; reason: string } | null = null;

  constructor(url: string, protocols: string[], options: ClientOptions = {}) {
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), protocols, { perMessageDeflate: false, ...options });
    this.socket.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString()) as Frame);
      this.#wake();
    });
    // What an error means is said by the close that follows it.
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.#over = { code, reason: reason.toString() };
        resolve(this.#over);
        this.#wake();
      });
    });
  }

  /** Joins a session that was started, with its token, and waits for the model's first frame. */
  static async join(url: string, session: StartResponse, ...extra: string[]): Promise<Client> {
    const client = Client.dial(url, session, ...extra);
    await client.next('session.created');
    return client;
  }

  static dial(url: string, session: StartResponse, ...extra: string[]): Client {
    const protocols = [CLIENT_SUBPROTOCOL, `${TOKEN_SUBPROTOCOL_PREFIX}${session.client_token}`, ...extra];
    return new Client(url + session.urls.realtime, protocols);
  }

  get opened(): Promise<unknown> {
    return once(this.socket, 'open');
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
  }

  /** Says a text and asks for an answer. */
  ask(text: string): void {
    this.type(text);
    this.send({ type: 'response.create' });
  }

  type(text: string): void {
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
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
        const last = this.frames.slice(-10).map((one) => one.type);
        throw new Error(`no ${type} before the close with ${this.#over.code}, after ${last.join(', ')}`);
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** What the model said in its next answer that has words. */
  async answer(): Promise<string> {
    const done = await this.next('response.output_text.done');
    return String(done['text']);
  }

  /** The connection is cut: no closing handshake. */
  cut(): void {
    this.socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#over) return;
    this.socket.terminate();
    await this.closed;
  }
}
