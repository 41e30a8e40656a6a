// Samples in the chunks that they came in, and out in frames.

export class PcmQueue {
  readonly #chunks: Int16Array[] = [];
  /** Of the first chunk, what was taken already. */
  #taken = 0;
  #length = 0;

  /** Samples that wait. */
  get length(): number {
    return this.#length;
  }

  /** Keeps the chunk itself: it must not be changed afterwards. */
  push(chunk: Int16Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Fills a frame from the front and returns how many samples it got; the rest of the frame becomes zero. */
  fill(frame: Int16Array): number {
    let at = 0;
    while (at < frame.length) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const part = chunk.subarray(this.#taken, this.#taken + frame.length - at);
      frame.set(part, at);
      at += part.length;
      this.#taken += part.length;
      if (this.#taken < chunk.length) break;
      this.#chunks.shift();
      this.#taken = 0;
    }
    this.#length -= at;
    if (at < frame.length) frame.fill(0, at);
    return at;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#taken = 0;
    this.#length = 0;
  }
}
