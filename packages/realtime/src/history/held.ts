// What a history holds besides words, and how much of it at most: the oldest goes first.

export interface Bounds {
  /** Items that are kept. */
  items: number;
  /** Outputs of tools that are kept with their calls. */
  toolOutputs: number;
  /** Bytes of sound; 0 keeps none. */
  audioBytes: number;
}

/** Which outputs of tools are kept. */
export class HeldOutputs {
  readonly #max: number;
  readonly #calls = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Keeps one more; the call whose output has to go for it. */
  keep(callId: string): string | undefined {
    this.#calls.add(callId);
    if (this.#calls.size <= this.#max) return undefined;
    const [oldest] = this.#calls;
    if (oldest !== undefined) this.#calls.delete(oldest);
    return oldest;
  }
}

/** Sound by item and part. */
export class HeldAudio {
  readonly #max: number;
  readonly #items = new Map<string, Map<number, Buffer[]>>();
  #bytes = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Holds one more; the items whose sound has to go for it. */
  add(itemId: string, contentIndex: number, chunk: Buffer): string[] {
    const gone: string[] = [];
    let parts = this.#items.get(itemId);
    if (!parts) this.#items.set(itemId, (parts = new Map()));
    const chunks = parts.get(contentIndex);
    if (chunks) chunks.push(chunk);
    else parts.set(contentIndex, [chunk]);
    this.#bytes += chunk.length;
    while (this.#bytes > this.#max) {
      const [oldest] = this.#items.keys();
      if (oldest === undefined) break;
      this.forget(oldest);
      gone.push(oldest);
    }
    return gone;
  }

  /** All sound of a part as base64. */
  of(itemId: string, contentIndex: number): string | undefined {
    const chunks = this.#items.get(itemId)?.get(contentIndex);
    return chunks ? Buffer.concat(chunks).toString('base64') : undefined;
  }

  forget(itemId: string): void {
    for (const chunks of this.#items.get(itemId)?.values() ?? []) {
      for (const { length } of chunks) this.#bytes -= length;
    }
    this.#items.delete(itemId);
  }
}
