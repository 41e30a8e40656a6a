// Keeps a call: both sides as a stereo WAV (the user at the left), and the log as lines of JSON.

import { createWriteStream, mkdirSync, writeFileSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import type { EventRecord } from '@parley/core';
import type { Clock } from '@parley/transport';
import { SAMPLE_RATE } from '../machine-audio.ts';

const HOUR_SAMPLES = 3_600 * SAMPLE_RATE;
const HEADER_BYTES = 44;

interface Chunk {
  readonly at: number;
  readonly pcm: Int16Array;
}

export class Recording {
  readonly path: string;
  readonly #clock: Clock;
  readonly #began: number;
  readonly #log: WriteStream;
  #failed: Error | null = null;
  readonly #sides: Record<'you' | 'agent', { chunks: Chunk[]; end: number }> = {
    you: { chunks: [], end: 0 },
    agent: { chunks: [], end: 0 },
  };

  constructor(folder: string, name: string, clock: Clock) {
    mkdirSync(folder, { recursive: true });
    // A call id may hold what a path must not.
    this.path = join(folder, name.replace(/[^\w.-]/g, '_'));
    this.#clock = clock;
    this.#began = clock.now();
    this.#log = createWriteStream(`${this.path}.jsonl`);
    // Told when it is closed: a call goes on without its recording.
    this.#log.on('error', (error) => (this.#failed ??= error));
  }

  sound(who: 'you' | 'agent', pcm: Int16Array): void {
    const side = this.#sides[who];
    const now = Math.round(((this.#clock.now() - this.#began) * SAMPLE_RATE) / 1000);
    // Sound follows sound; only after a silence does the clock say where it is.
    const at = now > side.end + SAMPLE_RATE / 5 ? now : side.end;
    if (at + pcm.length > HOUR_SAMPLES) return;
    side.chunks.push({ at, pcm: pcm.slice() });
    side.end = at + pcm.length;
  }

  entry(entry: EventRecord): void {
    this.#log.write(`${JSON.stringify(entry)}\n`);
  }

  /** Writes the sound. Resolves with the files' common name once all is on disk. */
  async close(): Promise<string> {
    const frames = Math.max(this.#sides.you.end, this.#sides.agent.end);
    const bytes = Buffer.alloc(HEADER_BYTES + frames * 4);
    header(bytes, frames * 4);
    for (const [channel, side] of [this.#sides.you, this.#sides.agent].entries()) {
      for (const { at, pcm } of side.chunks) {
        for (let index = 0; index < pcm.length; index += 1) {
          bytes.writeInt16LE(pcm[index] as number, HEADER_BYTES + (at + index) * 4 + channel * 2);
        }
      }
    }
    writeFileSync(`${this.path}.wav`, bytes);
    await new Promise<void>((resolve) => void this.#log.end(() => resolve()));
    if (this.#failed) throw this.#failed;
    return this.path;
  }
}

function header(bytes: Buffer, dataBytes: number): void {
  bytes.write('RIFF', 0);
  bytes.writeUInt32LE(HEADER_BYTES - 8 + dataBytes, 4);
  bytes.write('WAVEfmt ', 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(2, 22);
  bytes.writeUInt32LE(SAMPLE_RATE, 24);
  bytes.writeUInt32LE(SAMPLE_RATE * 4, 28);
  bytes.writeUInt16LE(4, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36);
  bytes.writeUInt32LE(dataBytes, 40);
}
