import { closeCodeOf, randomSuffix } from '@parley/core';
import type { FrameClose } from '@parley/transport';
import type { MediaChannel } from './media-peer.ts';
import type { PeerTerms } from './options.ts';

// A data channel as a FrameSocket, over what a driver has.
//
// SCTP implementations read on whether anybody listens or not, so a paused reader is a bounded store here, and not a
// pressure that the far end feels.

/** What a driver gives. `send` may throw; everything else may not. */
export interface RawChannel {
  send(text: string): void;
  bufferedBytes(): number;
  /** The longest message that the far side takes. */
  maxFrameBytes(): number;
  close(): void;
}

const LINGER_MS = 20;
const LINGER_MS_MAX = 1_000;

type ChannelTerms = Pick<PeerTerms, 'maxFrameBytes' | 'maxBufferedBytes' | 'clock'>;

export class ChannelSocket implements MediaChannel {
  readonly id = `conn_${randomSuffix()}`;
  readonly label: string;
  readonly #raw: RawChannel;
  readonly #terms: ChannelTerms;
  readonly #listeners: {
    open: (() => void) | null;
    frame: ((frame: Buffer) => void) | null;
    drain: (() => void) | null;
    close: ((close: FrameClose) => void)[];
  } = { open: null, frame: null, drain: null, close: [] };
  #state: 'opening' | 'open' | 'ended' = 'opening';
  /** Before it is open: what is to be sent. Afterwards: what came and nobody took. */
  readonly #held: { toSend: string[]; toTake: Buffer[]; bytes: number } = { toSend: [], toTake: [], bytes: 0 };
  #paused = false;
  /** What `close` was called with, until it is done. */
  #closing: FrameClose | null = null;
  #ended: FrameClose | null = null;

  constructor(label: string, raw: RawChannel, terms: ChannelTerms) {
    this.label = label;
    this.#raw = raw;
    this.#terms = terms;
  }

  get open(): boolean {
    return this.#state === 'open' && !this.#closing;
  }

  get bufferedBytes(): number {
    if (this.#state === 'open') return this.#raw.bufferedBytes();
    return this.#state === 'opening' ? this.#held.bytes : 0;
  }

  send(frame: Buffer | string): void {
    if (this.#state === 'ended' || this.#closing) return;
    const text = typeof frame === 'string' ? frame : frame.toString();
    if (this.#state === 'opening') {
      this.#held.toSend.push(text);
      this.#held.bytes += text.length;
    } else this.#write(text);
    if (this.bufferedBytes > this.#terms.maxBufferedBytes) this.#end(tooSlow('the peer reads too slowly'));
  }

  #write(text: string): void {
    const max = this.#raw.maxFrameBytes();
    // Most frames are far below; only those that may not fit are measured.
    if (text.length * 3 > max && Buffer.byteLength(text) > max) {
      return this.#end({ code: 1009, reason: `the peer takes frames of at most ${max} bytes` });
    }
    try {
      this.#raw.send(text);
    } catch {
      // The driver throws when the connection went away under it; its own event says so, and may have been first.
      this.#end({ code: 1006, reason: '' });
    }
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    queueMicrotask(() => this.#deliver());
  }

  onOpen(listener: () => void): void {
    this.#listeners.open = listener;
    if (this.#state === 'open') queueMicrotask(listener);
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#listeners.frame = listener;
    queueMicrotask(() => this.#deliver());
  }

  onDrain(listener: () => void): void {
    this.#listeners.drain = listener;
  }

  onClose(listener: (close: FrameClose) => void): void {
    const ended = this.#ended;
    if (ended) queueMicrotask(() => listener(ended));
    else this.#listeners.close.push(listener);
  }

  close(code?: number, reason = ''): void {
    if (this.#state === 'ended' || this.#closing) return;
    this.#closing = { code: code ?? 1005, reason };
    this.#linger(LINGER_MS_MAX);
  }

  /**
   * The message that closes a channel can overtake others at a far end that is not a browser: it goes alone, after
   * everything that was sent.
   */
  #linger(leftMs: number): void {
    this.#terms.clock.after(LINGER_MS, () => {
      if (this.#state === 'ended') return;
      const waiting = this.#state === 'opening' || this.#raw.bufferedBytes() > 0;
      if (waiting && leftMs > LINGER_MS) return this.#linger(leftMs - LINGER_MS);
      this.#state = 'ended';
      this.#raw.close();
      this.#tell(this.#closing ?? { code: 1006, reason: '' });
    });
  }

  terminate(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#raw.close();
    queueMicrotask(() => this.#tell({ code: 1006, reason: '' }));
  }

  /** Of the driver: frames can flow. */
  opened(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    const waiting = this.#held.toSend.splice(0);
    this.#held.bytes = 0;
    for (const text of waiting) this.#write(text);
    if (!this.#closing) this.#listeners.open?.();
    if (waiting.length > 0 && this.#raw.bufferedBytes() === 0) this.drained();
  }

  /** Of the driver: a message came. */
  received(data: string | Uint8Array | ArrayBuffer): void {
    if (this.#state === 'ended' || this.#closing) return;
    if (typeof data !== 'string') return this.#end({ code: 1003, reason: 'expected text frames, got a binary one' });
    const frame = Buffer.from(data);
    if (frame.length > this.#terms.maxFrameBytes) {
      return this.#end({ code: 1009, reason: `a frame may have at most ${this.#terms.maxFrameBytes} bytes` });
    }
    if (!this.#paused && this.#listeners.frame && this.#held.toTake.length === 0) return this.#listeners.frame(frame);
    this.#held.toTake.push(frame);
    this.#held.bytes += frame.length;
    if (this.#held.bytes > this.#terms.maxBufferedBytes) this.#end(tooSlow('frames are taken too slowly'));
  }

  /** Of the driver: everything that was sent is with the network. */
  drained(): void {
    if (this.open) this.#listeners.drain?.();
  }

  /** Of the driver: the far side closed the channel (1005), or the connection is gone (1006). */
  closed(code: 1005 | 1006): void {
    if (this.#state === 'ended') return this.#tell({ code, reason: '' });
    this.#deliver();
    this.#state = 'ended';
    this.#tell(this.#closing ?? { code, reason: '' });
  }

  #deliver(): void {
    while (!this.#paused && this.open && this.#listeners.frame) {
      const frame = this.#held.toTake.shift();
      if (!frame) return;
      this.#held.bytes -= frame.length;
      this.#listeners.frame(frame);
    }
  }

  #end(fault: FrameClose): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#raw.close();
    queueMicrotask(() => this.#tell(fault));
  }

  #tell(close: FrameClose): void {
    if (this.#ended) return;
    this.#ended = close;
    this.#held.toSend.length = 0;
    this.#held.toTake.length = 0;
    for (const listener of this.#listeners.close) listener(close);
    this.#listeners.close.length = 0;
  }
}

function tooSlow(reason: string): FrameClose {
  return { code: closeCodeOf('resource_exhausted'), reason };
}
