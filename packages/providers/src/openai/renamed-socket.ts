// Frames of a provider whose names differ from OpenAI's, under OpenAI's names. The narrow waist stays the same: whole
// frames, in order, pressure passed through.

import type { FrameClose, FrameSocket } from '@parley/transport';

/** What becomes of one frame: itself, another, or nothing. */
export type Rename = (frame: Buffer) => Buffer | null;

export class RenamedSocket implements FrameSocket {
  readonly #inner: FrameSocket;
  readonly #rename: Rename;

  constructor(inner: FrameSocket, rename: Rename) {
    this.#inner = inner;
    this.#rename = rename;
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
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#inner.onFrame((frame) => {
      const renamed = this.#rename(frame);
      if (renamed) listener(renamed);
    });
  }

  onDrain(listener: () => void): void {
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
}

/**
 * Gives frames of known types another `type`, and leaves the rest of their bytes as they are: sound is not parsed.
 * The type is looked for near the front, where every server of this shape writes it.
 */
export function renamedType(frame: Buffer, from: string, to: string): Buffer {
  const written = Buffer.from(`"${from}"`);
  const at = frame.subarray(0, TYPE_BYTES).indexOf(written);
  if (at < 0) return frame;
  return Buffer.concat([frame.subarray(0, at), Buffer.from(`"${to}"`), frame.subarray(at + written.length)]);
}

const TYPE_BYTES = 512;
