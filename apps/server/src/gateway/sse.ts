// Event streams: everything after a number, then whatever comes, with nothing missed between.

import type { ServerResponse } from 'node:http';
import { ParleyError } from '@parley/core';
import type { FastifyReply } from 'fastify';

export interface StreamEntry {
  /** Becomes `id:`; a reader that comes back says the last one it saw. What is not kept has none. */
  id?: number;
  type: string;
  json: string;
}

const PING_MS = 15_000;
/** A reader that leaves more than this unread is let go; it comes back and reads on from where it was. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

/** All that are open. */
export class EventStreams {
  readonly #streams_max: number;
  readonly #open = new Set<EventStream>();

  constructor(streams_max: number) {
    this.#streams_max = streams_max;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Answers with a stream. @throws ParleyError `resource_exhausted`. */
  open(reply: FastifyReply): EventStream {
    const limit = this.#streams_max;
    if (this.#open.size >= limit) {
      throw new ParleyError('resource_exhausted', `this server is at its limit of ${limit} event streams`, {
        retry_after_ms: 1000,
        details: { limit, current: this.#open.size },
      });
    }
    const stream = new EventStream(reply);
    this.#open.add(stream);
    void stream.closed.then(() => this.#open.delete(stream));
    return stream;
  }
}

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
    const known = id === undefined ? '' : `id: ${id}\n`;
    this.#write(`${known}event: ${type}\ndata: ${json}\n\n`);
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
