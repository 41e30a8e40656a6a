// Two FrameSockets that are connected in memory, for tests and for peers in one process. Frames arrive in a later
// microtask, as they would from a socket, and a paused end makes the other end feel it.

import { randomSuffix } from '@parley/core';
import type { FrameClose, FrameSocket } from './frame-socket.ts';
import { FRAME_SOCKET_DEFAULTS } from './frame-socket-ws.ts';
import { sendableClose } from './sendable-close.ts';

export interface MemorySocketOptions {
  maxFrameBytes?: number | undefined;
}

/** A pair of connected ends: what one sends the other receives. */
export function memorySocketPair(options: MemorySocketOptions = {}): [FrameSocket, FrameSocket] {
  const maxFrameBytes = options.maxFrameBytes ?? FRAME_SOCKET_DEFAULTS.maxFrameBytes;
  const a = new MemorySocket(maxFrameBytes);
  const b = new MemorySocket(maxFrameBytes);
  a.peer = b;
  b.peer = a;
  return [a, b];
}

class MemorySocket implements FrameSocket {
  readonly id = `conn_${randomSuffix()}`;
  peer: MemorySocket | null = null;
  /** What the peer sent and nobody took yet; a close stands behind the frames. */
  readonly #inbox: (Buffer | FrameClose)[] = [];
  readonly #maxFrameBytes: number;
  readonly #listeners: {
    frame: ((frame: Buffer) => void) | null;
    drain: (() => void) | null;
    close: ((close: FrameClose) => void)[];
  } = { frame: null, drain: null, close: [] };
  #inboxBytes = 0;
  #paused = false;
  #delivering = false;
  #closing = false;
  #ended: FrameClose | null = null;

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  get open(): boolean {
    return !this.#closing && !this.#ended;
  }

  get bufferedBytes(): number {
    return this.#ended ? 0 : (this.peer?.inboxBytes ?? 0);
  }

  get inboxBytes(): number {
    return this.#inboxBytes;
  }

  send(frame: Buffer | string): void {
    if (this.open) this.peer?.take(typeof frame === 'string' ? Buffer.from(frame) : frame);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#schedule();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#listeners.frame = listener;
    this.#schedule();
  }

  onDrain(listener: () => void): void {
    this.#listeners.drain = listener;
  }

  onClose(listener: (close: FrameClose) => void): void {
    const ended = this.#ended;
    if (ended) queueMicrotask(() => listener(ended));
    else this.#listeners.close.push(listener);
  }

  close(code?: number, reason?: string): void {
    if (!this.open) return;
    this.#closing = true;
    const close = sendableClose(code, reason) ?? { code: 1005, reason: '' };
    this.peer?.take(close);
    this.#clear();
    this.take(close);
  }

  terminate(): void {
    if (this.#ended) return;
    this.#closing = true;
    this.cut();
    this.peer?.cut();
  }

  take(item: Buffer | FrameClose): void {
    if (this.#ended) return;
    this.#inbox.push(item);
    if (Buffer.isBuffer(item)) this.#inboxBytes += item.length;
    this.#schedule();
  }

  cut(): void {
    this.#clear();
    this.take({ code: 1006, reason: '' });
  }

  #clear(): void {
    this.#inbox.length = 0;
    this.#inboxBytes = 0;
  }

  #schedule(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const held = this.#inboxBytes;
    while (!this.#ended) {
      const next = this.#inbox[0];
      if (next === undefined) break;
      if (!Buffer.isBuffer(next)) {
        // A close waits behind frames that nobody has read; our own close does not wait for the reader.
        this.#inbox.shift();
        this.#end(next);
        break;
      }
      if (!this.#closing && (this.#paused || !this.#listeners.frame)) break;
      this.#inbox.shift();
      this.#inboxBytes -= next.length;
      if (this.#closing) continue;
      if (next.length > this.#maxFrameBytes) {
        this.close(1009, `a frame may have at most ${this.#maxFrameBytes} bytes`);
        continue;
      }
      this.#listeners.frame?.(next);
    }
    if (held > 0 && this.#inboxBytes === 0) this.peer?.drained();
  }

  drained(): void {
    if (!this.#ended) this.#listeners.drain?.();
  }

  #end(close: FrameClose): void {
    this.#ended = close;
    this.#clear();
    for (const listener of this.#listeners.close) listener(close);
    this.#listeners.close.length = 0;
  }
}
