// Many clients of one relay, in this process, each with one raw socket.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { APPEND, DELTA, FrameCounter, readHeaders, textFrame } from './wire.ts';

const FRAME = textFrame(APPEND, true);
const DELTA_BYTES = Buffer.byteLength(DELTA);
const FRAME_MS = 20;

export interface Address {
  port: number;
  path: string;
  protocols?: string;
}

interface Client {
  socket: Socket;
  sent: number[];
  head: number;
  /** Saturation: frames to keep under way; 0 when paced. */
  window: number;
}

export class Fleet {
  readonly #clients: Client[] = [];
  #rtts: number[] | null = null;
  received = 0;
  sent = 0;

  static async open(addresses: readonly Address[]): Promise<Fleet> {
    const fleet = new Fleet();
    // A few at a time: a backlog of handshakes is not what is measured.
    for (let i = 0; i < addresses.length; i += 25) {
      await Promise.all(addresses.slice(i, i + 25).map((address) => fleet.#open(address)));
    }
    return fleet;
  }

  async #open({ port, path, protocols }: Address): Promise<void> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const key = randomBytes(16).toString('base64');
    const offer = protocols === undefined ? '' : `sec-websocket-protocol: ${protocols}\r\n`;
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: ${key}\r\nsec-websocket-version: 13\r\n${offer}\r\n`,
    );
    const { headers, rest } = await readHeaders(socket);
    if (!headers.startsWith('HTTP/1.1 101')) throw new Error(`refused: ${headers.split('\r\n')[0]}`);
    const client: Client = { socket, sent: [], head: 0, window: 0 };
    // The first frame is the provider's session.created: the path is open from end to end.
    await new Promise<void>((resolve, reject) => {
      const counter = new FrameCounter((bytes) => {
        if (bytes === DELTA_BYTES) this.#heard(client);
        else resolve();
      });
      socket.on('data', (chunk: Buffer) => counter.feed(chunk));
      socket.on('close', () => reject(new Error('a client was closed')));
      socket.on('error', reject);
      if (rest.length > 0) counter.feed(rest);
    });
    this.#clients.push(client);
  }

  #heard(client: Client): void {
    this.received += 1;
    const at = client.sent[client.head] as number;
    client.head += 1;
    if (this.#rtts) this.#rtts.push(performance.now() - at);
    if (client.head > 4096) {
      client.sent.splice(0, client.head);
      client.head = 0;
    }
    if (client.window > 0) this.#send(client);
  }

  #send(client: Client): void {
    client.sent.push(performance.now());
    this.sent += 1;
    client.socket.write(FRAME);
  }

  /** Each client sends a frame every 20 ms, spread evenly. Gives the round trips in ms after `warm_ms`. */
  async pace(warm_ms: number, run_ms: number, atStart?: () => Promise<void>): Promise<number[]> {
    const begin = performance.now();
    const clients = this.#clients;
    let turns = 0;
    const tick = setInterval(() => {
      // By the clock, not by ticks: a late tick sends what is due.
      const due = Math.floor(((performance.now() - begin) / FRAME_MS) * clients.length);
      for (; turns < due; turns++) this.#send(clients[turns % clients.length] as Client);
    }, 1);
    await delay(warm_ms);
    // The time to ask the relay for its figures is not part of what is measured.
    await atStart?.();
    this.#rtts = [];
    await delay(run_ms);
    clearInterval(tick);
    const rtts = this.#rtts ?? [];
    this.#rtts = null;
    await this.settle();
    return rtts;
  }

  /** Each client keeps `window` frames under way for `run_ms`. */
  async saturate(window: number, warm_ms: number, run_ms: number, atStart: () => Promise<void>): Promise<void> {
    for (const client of this.#clients) {
      client.window = window;
      for (let i = 0; i < window; i++) this.#send(client);
    }
    await delay(warm_ms);
    await atStart();
    await delay(run_ms);
    for (const client of this.#clients) client.window = 0;
  }

  /** Waits for what is still under way. */
  async settle(): Promise<void> {
    for (let i = 0; i < 200 && this.received < this.sent; i++) await delay(10);
  }

  close(): void {
    for (const { socket } of this.#clients) {
      socket.removeAllListeners('close');
      socket.destroy();
    }
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
