// Audio without a sound card, at the speed of speech: a source that does not run ahead, a sink that takes its time.

import { levelOf, msOf, SAMPLE_RATE, samplesOf } from '../pcm.ts';
import type { AudioSink } from './audio.ts';
import { type CutItem, Playout } from './playout.ts';

export interface PaceOptions {
  /** Length of the frames, 10 to 100 milliseconds. Default 20. */
  frameMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Cuts audio into frames and yields each when a microphone would have: in real time. The last one may be shorter. */
export async function* paced(source: AsyncIterable<Int16Array>, options: PaceOptions = {}): AsyncGenerator<Int16Array> {
  const frame = samplesOf(options.frameMs ?? 20);
  let due_ms = performance.now();
  let rest = new Int16Array(0);
  for await (const chunk of source) {
    if (options.signal?.aborted) return;
    rest = joined(rest, chunk);
    let at = 0;
    for (; rest.length - at >= frame; at += frame) {
      due_ms = await until(due_ms, options.signal);
      if (options.signal?.aborted) return;
      yield rest.slice(at, at + frame);
      due_ms += msOf(frame);
    }
    rest = rest.slice(at);
  }
  if (rest.length > 0) {
    await until(due_ms, options.signal);
    if (!options.signal?.aborted) yield rest;
  }
}

/** Silence without end: what a microphone hears when nobody speaks. */
export async function* silence(frameMs = 20): AsyncGenerator<Int16Array> {
  for (;;) yield new Int16Array(samplesOf(frameMs));
}

/** A source that was slow starts a new schedule: it must not be followed by a burst. */
async function until(due_ms: number, signal?: AbortSignal): Promise<number> {
  const now_ms = performance.now();
  if (due_ms <= now_ms) return now_ms - due_ms > LATE_MS ? now_ms : due_ms;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, due_ms - now_ms);
    signal?.addEventListener('abort', done, { once: true });
  });
  return due_ms;
}

const LATE_MS = 200;

function joined(a: Int16Array, b: Int16Array): Int16Array<ArrayBuffer> {
  const both = new Int16Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

export interface PacedSinkOptions {
  /** Called with what is heard, when it is heard: 20 ms and less at a time. */
  onHeard?: ((pcm: Int16Array) => void) | undefined;
  /** Called when an interruption silences the sink. */
  onCut?: (() => void) | undefined;
  /** How much of the heard audio `recording()` keeps, in milliseconds. Default ten minutes; 0 keeps nothing. */
  keepMsMax?: number | undefined;
  /** How much may wait to be heard, in milliseconds. What comes past it is dropped and counted. Default 30 minutes. */
  queueMsMax?: number | undefined;
}

const TICK_MS = 20;

/** A loudspeaker of numbers: it hears an answer at the speed of speech, counts it and keeps it. */
export class PacedSink implements AudioSink {
  #level = 0;
  #droppedMs = 0;
  readonly #options: PacedSinkOptions;
  readonly #playout = new Playout();
  readonly #queue: Int16Array[] = [];
  readonly #kept: Int16Array[] = [];
  #keptSamples = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  #played_to_ms = 0;

  constructor(options: PacedSinkOptions = {}) {
    this.#options = options;
  }

  write(itemId: string, pcm: Int16Array): void {
    if (this.pendingMs + msOf(pcm.length) > (this.#options.queueMsMax ?? 30 * 60_000)) {
      this.#droppedMs += msOf(pcm.length);
      return;
    }
    this.#playout.add(itemId, pcm.length);
    this.#queue.push(pcm);
    if (this.#timer !== null) return;
    this.#played_to_ms = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  cut(): CutItem[] {
    if (this.#timer !== null) this.#tick();
    this.#queue.length = 0;
    this.#rest();
    const items = this.#playout.cut();
    this.#options.onCut?.();
    return items;
  }

  get pendingMs(): number {
    return msOf(this.#playout.pending);
  }

  get level(): number {
    return this.#level;
  }

  /** Audio that found the queue full, in milliseconds. */
  get droppedMs(): number {
    return this.#droppedMs;
  }

  /** What was heard, from the first answer on, without the pauses between answers. */
  recording(): Int16Array {
    const all = new Int16Array(this.#keptSamples);
    let at = 0;
    for (const pcm of this.#kept) {
      all.set(pcm, at);
      at += pcm.length;
    }
    return all;
  }

  async close(): Promise<void> {
    this.#queue.length = 0;
    this.#rest();
  }

  #tick(): void {
    const now_ms = performance.now();
    let due = Math.floor(((now_ms - this.#played_to_ms) * SAMPLE_RATE) / 1000);
    this.#played_to_ms += msOf(due);
    while (due > 0) {
      const head = this.#queue[0];
      if (!head) return this.#rest();
      const pcm = head.subarray(0, due);
      if (pcm.length === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(pcm.length);
      due -= pcm.length;
      this.#hear(pcm);
    }
  }

  #hear(pcm: Int16Array): void {
    this.#playout.advance(pcm.length);
    this.#level = levelOf(pcm);
    const room = samplesOf(this.#options.keepMsMax ?? 10 * 60_000) - this.#keptSamples;
    if (room > 0) {
      this.#kept.push(pcm.slice(0, room));
      this.#keptSamples += Math.min(room, pcm.length);
    }
    this.#options.onHeard?.(pcm);
  }

  #rest(): void {
    this.#level = 0;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}
