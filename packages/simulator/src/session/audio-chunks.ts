/**
 * Audio that arrived and was not committed: the chunks as they came, each with its place on the input-audio clock
 * (in samples since the session began).
 */
export class AudioChunks {
  #chunks: Int16Array[] = [];
  #start: number;
  #end: number;

  constructor(clock = 0) {
    this.#start = clock;
    this.#end = clock;
  }

  /** The clock: samples since the session began. */
  get end(): number {
    return this.#end;
  }

  get start(): number {
    return this.#start;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  push(samples: Int16Array): void {
    if (samples.length === 0) return;
    this.#chunks.push(samples);
    this.#end += samples.length;
  }

  /** Copies out what lies between two points of the clock. */
  slice(from: number, to: number): Int16Array {
    const first = Math.max(from, this.#start);
    const out = new Int16Array(Math.max(0, Math.min(to, this.#end) - first));
    let at = this.#start;
    for (const chunk of this.#chunks) {
      const begin = Math.max(first, at);
      const end = Math.min(first + out.length, at + chunk.length);
      if (begin < end) out.set(chunk.subarray(begin - at, end - at), begin - first);
      at += chunk.length;
    }
    return out;
  }

  /** Forgets what lies before a point of the clock; the clock itself goes on. */
  dropBefore(point: number): void {
    const to = Math.min(point, this.#end);
    while (this.#chunks.length > 0) {
      const first = this.#chunks[0] as Int16Array;
      if (this.#start + first.length <= to) {
        this.#chunks.shift();
        this.#start += first.length;
        continue;
      }
      if (this.#start < to) {
        this.#chunks[0] = first.subarray(to - this.#start);
        this.#start = to;
      }
      return;
    }
    this.#start = this.#end;
  }
}
