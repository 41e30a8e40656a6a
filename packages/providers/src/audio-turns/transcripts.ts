// The transcripts of one session that are waited for: a few at a time, each within its time, each with one end.

import type { Clock } from '@parley/transport';
import { Failure } from './failure.ts';
import { BYTES_PER_MS } from './pcm.ts';

export interface TranscriptsParts {
  clock: Clock;
  limits: { transcripts_max: number; transcript_ms_max: number };
  transcribe: (pcm: Buffer, signal: AbortSignal) => Promise<string>;
  written: (item_id: string, text: string, audio_ms: number) => void;
  failed: (item_id: string, failure: Failure) => void;
}

export class Transcripts {
  readonly #parts: TranscriptsParts;
  readonly #running = new Set<AbortController>();
  #over = false;

  constructor(parts: TranscriptsParts) {
    this.#parts = parts;
  }

  begin(item_id: string, pcm: Buffer): void {
    const { limits, failed } = this.#parts;
    if (this.#running.size >= limits.transcripts_max) {
      return failed(
        item_id,
        new Failure('rate_limit_error', `${limits.transcripts_max} turns are being written down already`),
      );
    }
    void this.#run(item_id, pcm);
  }

  async #run(item_id: string, pcm: Buffer): Promise<void> {
    const { clock, limits, transcribe, written, failed } = this.#parts;
    const controller = new AbortController();
    this.#running.add(controller);
    const late = clock.after(limits.transcript_ms_max, () => {
      controller.abort(new Failure('timeout_error', `no transcript came within ${limits.transcript_ms_max} ms`));
    });
    try {
      const text = await transcribe(pcm, controller.signal);
      if (!this.#over) written(item_id, text, Math.round(pcm.length / BYTES_PER_MS));
    } catch (caught) {
      if (!this.#over) failed(item_id, Failure.of(caught));
    } finally {
      late.cancel();
      this.#running.delete(controller);
    }
  }

  stop(): void {
    this.#over = true;
    for (const controller of this.#running) controller.abort(new Failure('connection_error', 'the session ended'));
  }
}
