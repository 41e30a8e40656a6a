// Lines out of chunks. A chunk ends anywhere: in the middle of a character, after three lines, or nowhere near an end.

export class LineReader {
  readonly #bytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @param bytesMax of one line. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The lines that the chunk ends, without their ends; null when one is too long. */
  push(chunk: Buffer): string[] | null {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#parts.push(chunk.subarray(from, end));
      // Decoded as a whole, so that no character is cut.
      lines.push(
        this.#parts.length === 1
          ? (this.#parts[0] as Buffer).toString('utf8')
          : Buffer.concat(this.#parts).toString('utf8'),
      );
      this.#parts = [];
      this.#bytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#bytes += chunk.length - from;
    }
    return this.#bytes > this.#bytesMax ? null : lines;
  }
}
