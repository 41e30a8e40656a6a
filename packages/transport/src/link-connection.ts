// One connection of a link: JSON frames over a FrameSocket, with heartbeats out and a lease on silence.

import { errorCodeOfClose, ParleyError } from '@parley/core';
import type { Clock } from './clock.ts';
import type { FrameClose, FrameSocket } from './frame-socket.ts';

/** What the other side said when it welcomed the connection. */
export interface LinkTerms {
  /** Milliseconds between heartbeats. */
  heartbeatMs: number;
  /** A connection that was silent this many milliseconds is cut. */
  leaseMs: number;
  /** Largest frame that the other side takes, in bytes. */
  frameBytesMax: number;
}

export interface ConnectionEvents {
  frame(frame: unknown, connection: LinkConnection): void;
  writable(connection: LinkConnection): void;
  closed(connection: LinkConnection, close: FrameClose): void;
}

export class LinkConnection {
  readonly openedAt: number;
  readonly #socket: FrameSocket;
  readonly #clock: Clock;
  readonly #bufferedBytesMax: number;
  #terms: LinkTerms | null = null;
  #heardAt: number;
  #beat: { cancel(): void } | null = null;

  constructor(socket: FrameSocket, clock: Clock, bufferedBytesMax: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#clock = clock;
    this.#bufferedBytesMax = bufferedBytesMax;
    this.openedAt = clock.now();
    this.#heardAt = this.openedAt;
    socket.onFrame((bytes) => {
      this.#heardAt = clock.now();
      const frame = parse(bytes);
      if (frame === undefined) socket.close(1007, 'a frame was not JSON');
      else events.frame(frame, this);
    });
    socket.onDrain(() => events.writable(this));
    socket.onClose((close) => {
      this.#beat?.cancel();
      events.closed(this, close);
    });
  }

  get open(): boolean {
    return this.#socket.open;
  }

  /** True once the other side welcomed it and until it ends. */
  get up(): boolean {
    return this.#terms !== null && this.#socket.open;
  }

  get terms(): LinkTerms | null {
    return this.#terms;
  }

  /** Starts the heartbeats. `heartbeat` makes the frame of each. */
  welcomed(terms: LinkTerms, heartbeat: () => string): void {
    this.#terms = terms;
    const beat = (): void => {
      if (!this.#socket.open) return;
      if (this.#clock.now() - this.#heardAt > terms.leaseMs) {
        this.#socket.terminate();
        return;
      }
      this.#socket.send(heartbeat());
      this.#beat = this.#clock.after(terms.heartbeatMs, beat);
    };
    this.#beat = this.#clock.after(terms.heartbeatMs, beat);
  }

  /** Sends one frame. False when the connection has ended or the peer does not read: keep it and try again. */
  send(frame: string): boolean {
    if (!this.#socket.open || this.#socket.bufferedBytes > this.#bufferedBytesMax) return false;
    this.#socket.send(frame);
    return true;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // Undefined is no JSON value, so it can say this.
    return undefined;
  }
}

/** What a close means: `null` when coming back can help, else the error to stop with. */
export function fatalClose(close: FrameClose): ParleyError | null {
  const meaning = errorCodeOfClose(close.code);
  if (!meaning || meaning.retryable) return null;
  return new ParleyError(meaning.code, close.reason || `the peer closed the link with ${close.code}`, {
    retryable: false,
    details: { close_code: close.code },
  });
}

/** What a close in place of a welcome says about the first frame: an error when the peer does not take one so large. */
export function helloTooLarge(close: FrameClose, hello: string): ParleyError | null {
  if (close.code !== 1009) return null;
  const why = close.reason || close.code;
  // It would be as large the next time.
  return new ParleyError(
    'resource_exhausted',
    `the peer does not take a first frame of ${Buffer.byteLength(hello)} bytes: ${why}`,
    { retryable: false, details: { close_code: close.code } },
  );
}
