// The server's own control connection to a call whose media flow elsewhere. It is one FrameSocket for as long as the call
// lives: a connection that was cut is dialled again underneath, and what was to be sent meanwhile waits, within bounds.
//
// P1  `attached` is told before anything that waited is sent, so that the session comes first.
// P2  It ends when the call is gone (the provider knows it no more), when dialling again cannot help, or when the call
//     was without it for `within_ms`. `failure` says which.

import { ParleyError, randomSuffix } from '@parley/core';
import { Backoff, type Clock, type FrameClose, type FrameSocket } from '@parley/transport';

/** Why a sideband ended whose call is over. */
export const CALL_ENDED = 'call_ended';

const WAITING_FRAMES_MAX = 256;
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** A provider that accepts a connection has this long to confirm the session on it. */
const CONFIRM_MS = 5000;
/** A refused key, and a protocol that is no more: nothing that time would mend. */
const LASTING_CLOSES = new Set([3000, 4000]);

export interface SidebandOptions {
  dial: (signal: AbortSignal) => Promise<FrameSocket>;
  clock: Clock;
  /** How long the call may be without it. */
  within_ms: number;
  backoff?: Backoff | undefined;
  /** It is there, for the nth time it was dialled. The session is to be sent now. */
  attached: (attempt: number) => void;
  lost: (close: FrameClose) => void;
}

export class Sideband implements FrameSocket {
  readonly id = `conn_${randomSuffix()}`;
  readonly #options: SidebandOptions;
  readonly #abort = new AbortController();
  readonly #backoff: Backoff;
  readonly #listeners: {
    frame: ((frame: Buffer) => void) | null;
    drain: (() => void) | null;
    close: ((close: FrameClose) => void)[];
  } = { frame: null, drain: null, close: [] };
  #inner: FrameSocket | null = null;
  #waiting: (Buffer | string)[] = [];
  #waitingBytes = 0;
  #paused = false;
  #attempt = 0;
  /** It was there and confirmed before: then a call that the provider does not know is one that is over. */
  #wasThere = false;
  #since_ms: number;
  #timer: { cancel(): void } | null = null;
  #ended: FrameClose | null = null;
  #failure: ParleyError | null = null;

  constructor(options: SidebandOptions) {
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff({ minMs: 100, maxMs: 2000 });
    this.#since_ms = options.clock.now();
    queueMicrotask(() => this.#dial());
  }

  get open(): boolean {
    return this.#ended === null;
  }

  get failure(): ParleyError | null {
    return this.#failure;
  }

  get bufferedBytes(): number {
    return (this.#inner?.bufferedBytes ?? 0) + this.#waitingBytes;
  }

  send(frame: Buffer | string): void {
    if (this.#ended) return;
    if (this.#inner) {
      this.#inner.send(frame);
      return;
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waiting.length > WAITING_FRAMES_MAX || this.#waitingBytes > WAITING_BYTES_MAX) {
      const message = `more than ${WAITING_FRAMES_MAX} frames wait for the sideband`;
      this.#fail(new ParleyError('resource_exhausted', message));
    }
  }

  /** The provider confirmed the session on this connection. */
  confirmed(): void {
    this.#wasThere = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  get attempt(): number {
    return this.#attempt;
  }

  pause(): void {
    this.#paused = true;
    this.#inner?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#inner?.resume();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#listeners.frame = listener;
  }

  onDrain(listener: () => void): void {
    this.#listeners.drain = listener;
  }

  onClose(listener: (close: FrameClose) => void): void {
    const ended = this.#ended;
    if (ended) queueMicrotask(() => listener(ended));
    else this.#listeners.close.push(listener);
  }

  close(code = 1000, reason = ''): void {
    const inner = this.#inner;
    this.#end({ code, reason });
    inner?.close(code, reason);
  }

  terminate(): void {
    const inner = this.#inner;
    this.#end({ code: 1006, reason: '' });
    inner?.terminate();
  }

  #dial(): void {
    if (this.#ended) return;
    this.#attempt += 1;
    this.#options.dial(this.#abort.signal).then(
      (socket) => this.#opened(socket),
      (caught: unknown) => this.#refused(ParleyError.from(caught, 'unavailable')),
    );
  }

  #opened(socket: FrameSocket): void {
    if (this.#ended) {
      socket.close(1000, this.#ended.reason);
      return;
    }
    const { clock, attached, lost } = this.#options;
    this.#inner = socket;
    const opened_ms = clock.now();
    socket.onDrain(() => this.#listeners.drain?.());
    socket.onClose((close) => {
      if (this.#inner !== socket) return;
      this.#inner = null;
      this.#timer?.cancel();
      const wasConfirmed = this.#timer === null;
      if (this.#ended) return;
      this.#backoff.lived(clock.now() - opened_ms);
      if (wasConfirmed) this.#since_ms = clock.now();
      lost(close);
      if (LASTING_CLOSES.has(close.code)) this.#end(close);
      else this.#again();
    });
    if (this.#paused) socket.pause();
    this.#timer = clock.after(CONFIRM_MS, () => socket.terminate());
    socket.onFrame((frame) => this.#listeners.frame?.(frame));
    attached(this.#attempt);
    const waiting = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    for (const frame of waiting) socket.send(frame);
  }

  #refused(error: ParleyError): void {
    if (this.#ended) return;
    const unknown = error.code === 'not_found';
    if (unknown && this.#wasThere) this.#end({ code: 1000, reason: CALL_ENDED });
    // A call that was created a moment ago may not be known yet at the other door.
    else if (!error.retryable && !unknown) this.#fail(error);
    else this.#again(error);
  }

  #again(error?: ParleyError): void {
    const { clock, within_ms } = this.#options;
    const wait_ms = this.#backoff.next(error?.retryAfterMs ?? 0);
    if (clock.now() + wait_ms - this.#since_ms > within_ms) {
      const message = `the provider's call could not be attached to within ${within_ms} ms`;
      this.#fail(error ?? new ParleyError('deadline_exceeded', message));
      return;
    }
    this.#timer = clock.after(wait_ms, () => {
      this.#timer = null;
      this.#dial();
    });
  }

  #fail(error: ParleyError): void {
    this.#failure = error;
    const inner = this.#inner;
    this.#end({ code: 1006, reason: error.message });
    inner?.terminate();
  }

  #end(close: FrameClose): void {
    if (this.#ended) return;
    this.#ended = close;
    this.#inner = null;
    this.#timer?.cancel();
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#abort.abort();
    for (const listener of this.#listeners.close.splice(0)) listener(close);
  }
}
