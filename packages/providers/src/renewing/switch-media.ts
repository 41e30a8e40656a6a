// The media of a session whose connection changes: one listener, one socket to look at, and counts that go on.

import type { FrameClose, FrameSocket } from '@parley/transport';
import { frameType } from '@parley/transport';
import type { MediaCounts, ModelMedia } from '../port.ts';

type Listener = (frame: Buffer, kind: 'audio' | 'other') => void;

export class SwitchMedia implements ModelMedia {
  readonly socket: SwitchSocket;
  #current: ModelMedia;
  #before: MediaCounts = { user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 };
  #listener: Listener | null = null;

  constructor(first: ModelMedia) {
    this.#current = first;
    this.socket = new SwitchSocket(first.socket);
  }

  send(frame: Buffer): void {
    this.#current.send(frame);
  }

  onFrame(listener: Listener): void {
    this.#listener = listener;
    this.#current.onFrame(listener);
  }

  counts(): MediaCounts {
    const now = this.#current.counts();
    return {
      user_audio_ms: this.#before.user_audio_ms + now.user_audio_ms,
      reply_audio_ms: this.#before.reply_audio_ms + now.reply_audio_ms,
      frames_in: this.#before.frames_in + now.frames_in,
      frames_out: this.#before.frames_out + now.frames_out,
    };
  }

  /**
   * From now on the frames are those of another connection.
   * @param replayed items that it was told of: the client knows them already, as it knows its session.
   */
  switchTo(next: ModelMedia, replayed: number): void {
    this.#before = this.counts();
    this.#current = next;
    this.socket.switchTo(next.socket);
    let hidden = replayed;
    let greeted = false;
    const listener: Listener = (frame, kind) => {
      if (kind === 'other' && (!greeted || hidden > 0)) {
        const type = frameType(frame);
        if (type === 'session.created' || type === 'session.updated') {
          greeted = true;
          return;
        }
        if (hidden > 0 && type !== null && ITEM_TYPES.has(type)) {
          if (type === 'conversation.item.done') hidden -= 1;
          return;
        }
        hidden = 0;
      }
      this.#listener?.(frame, kind);
    };
    next.onFrame(listener);
  }
}

const ITEM_TYPES: ReadonlySet<string> = new Set([
  'conversation.item.added',
  'conversation.item.created',
  'conversation.item.done',
]);

/** The socket of whichever connection is current. Its end is not the session's. */
class SwitchSocket implements FrameSocket {
  #inner: FrameSocket;
  #paused = false;
  #drained: (() => void) | null = null;

  constructor(inner: FrameSocket) {
    this.#inner = inner;
  }

  get id(): string {
    return this.#inner.id;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  get open(): boolean {
    return this.#inner.open;
  }

  send(frame: Buffer | string): void {
    this.#inner.send(frame);
  }

  pause(): void {
    this.#paused = true;
    this.#inner.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#inner.resume();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#inner.onFrame(listener);
  }

  onDrain(listener: () => void): void {
    this.#drained = listener;
    this.#inner.onDrain(listener);
  }

  onClose(listener: (close: FrameClose) => void): void {
    this.#inner.onClose(listener);
  }

  close(code?: number, reason?: string): void {
    this.#inner.close(code, reason);
  }

  terminate(): void {
    this.#inner.terminate();
  }

  switchTo(next: FrameSocket): void {
    this.#inner = next;
    if (this.#drained) {
      next.onDrain(this.#drained);
      // Whoever waits for the old one to drain would wait for ever.
      this.#drained();
    }
    if (this.#paused) next.pause();
  }
}
