// Sound of the user while there is no connection: the latest of it, up to a bound.

export class WaitingAudio {
  readonly #max: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  hold(chunk: Buffer): void {
    // Who sends may write the next chunk into the same memory.
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    while (this.#bytes > this.#max) this.#bytes -= this.#chunks.shift()?.length ?? this.#bytes;
  }

  take(): Buffer[] {
    const chunks = this.#chunks;
    this.clear();
    return chunks;
  }

  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }
}
