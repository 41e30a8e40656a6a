// Event streams: everything after a number, then whatever comes, with nothing missed between.

import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';

export interface StreamEntry {
  /** Becomes `id:`; a reader that comes back says the last one it saw. */
  id: number;
  type: string;
  json: string;
}

const PING_MS = 15_000;
/** A reader that leaves more than this unread is let go; it comes back and reads on from where it was. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

export class EventStream {
  readonly #response: ServerResponse;
  readonly #ping: NodeJS.Timeout;
  readonly closed: Promise<void>;
  #open = true;

  constructor(reply: FastifyReply) {
    const headers = reply.getHeaders();
    reply.hijack();
    this.#response = reply.raw;
    this.#response.writeHead(200, {
      ...(headers as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    this.#response.write(': parley\n\n');
    this.#ping = setInterval(() => this.#write(': ping\n\n'), PING_MS);
    this.#ping.unref();
    this.closed = new Promise((resolve) => {
      this.#response.once('close', () => {
        this.#open = false;
        clearInterval(this.#ping);
        resolve();
      });
    });
  }

  get open(): boolean {
    return this.#open;
  }

  send({ id, type, json }: StreamEntry): void {
    this.#write(`id: ${id}\nevent: ${type}\ndata: ${json}\n\n`);
  }

  end(): void {
    if (this.#open) this.#response.end();
  }

  #write(text: string): void {
    if (!this.#open) return;
    this.#response.write(text);
    if (this.#response.writableLength > UNREAD_BYTES_MAX) {
      this.#open = false;
      this.#response.destroy();
    }
  }
}
