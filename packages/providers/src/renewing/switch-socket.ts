// The socket of whichever connection is current. Its end is not the session's.

import type { FrameClose, FrameSocket } from '@parley/transport';

export class SwitchSocket implements FrameSocket {
  #inner: FrameSocket;
  #paused = false;
  #lost = false;
  #drained: (() => void) | null = null;

  constructor(inner: FrameSocket) {
    this.#inner = inner;
  }

  get id(): string {
    return this.#inner.id;
  }

  get bufferedBytes(): number {
    return this.#lost ? 0 : this.#inner.bufferedBytes;
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

  /** There is none for now: whoever waits for it to drain would wait for ever. */
  lost(): void {
    this.#lost = true;
    this.#drained?.();
  }

  switchTo(next: FrameSocket): void {
    this.#inner = next;
    this.#lost = false;
    if (this.#drained) {
      next.onDrain(this.#drained);
      this.#drained();
    }
    if (this.#paused) next.pause();
  }
}
