// The answers of a call as they are heard: played here or by the far end, and cut where the user speaks over them.

import { ParleyError } from '@parley/core';
import type { Emitter } from '../emitter.ts';
import { decodePcm } from '../pcm.ts';
import type { AudioSink } from './audio.ts';
import type { CallLine } from './call-parts.ts';
import { cutResponse, type Dialogue } from './dialogue.ts';
import type { CallEvents } from './events.ts';
import type { Tally } from './tally.ts';

export interface AnswersParts {
  sink: AudioSink;
  dialogue: Dialogue;
  tally: Tally;
  emitter: Emitter<CallEvents>;
  /** The loudspeaker broke. */
  failed: (error: ParleyError) => void;
}

export class Answers {
  readonly #parts: AnswersParts;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Plays a piece of an answer here. */
  play(itemId: string, audio: string): void {
    const { sink, tally, emitter, failed } = this.#parts;
    let pcm: Int16Array;
    try {
      pcm = decodePcm(audio);
    } catch (cause) {
      return emitter.emit('error', new ParleyError('data_loss', `a piece of ${itemId} is no audio`, { cause }));
    }
    tally.arrived(pcm.length);
    try {
      sink.write(itemId, pcm);
    } catch (thrown) {
      failed(ParleyError.from(thrown, 'internal'));
    }
  }

  /** Whether an answer is being heard. */
  get heard(): boolean {
    return this.#parts.sink.pendingMs > 0 || this.#parts.dialogue.playingId !== null;
  }

  /**
   * Falls silent, and tells the other side how much was heard; `cancel` also stops what is being generated.
   *
   * @throws ParleyError of a line that did not take a word of that. Silent it is all the same.
   */
  cut(line: CallLine, cancel: boolean): void {
    const { sink, dialogue, tally, emitter } = this.#parts;
    const active = cutResponse(dialogue);
    const refused: unknown[] = [];
    const tell = (say: () => void): void => {
      try {
        say();
      } catch (thrown) {
        refused.push(thrown);
      }
    };
    if (cancel && active !== null) tell(() => line.cancel());
    // The far end plays: it is told to fall silent, and tells in turn how much was heard.
    if (dialogue.playingId !== null) tell(() => line.send({ type: 'output_audio_buffer.clear' }));
    const generating = active !== null && dialogue.audioResponseId === active;
    let interrupted = false;
    for (const { itemId, playedMs, unheardMs } of sink.cut()) {
      // What was heard to its end needs no truncation, unless more of it is on its way.
      if (unheardMs === 0 && !generating) continue;
      tell(() => line.truncate(itemId, playedMs));
      emitter.emit('interruption', { itemId, playedMs });
      interrupted = true;
    }
    if (interrupted) tally.interrupted();
    if (refused.length > 0) throw ParleyError.from(refused[0]);
  }

  /** The far end has cut the answer that it played. */
  wereCut(itemId: string, playedMs: number): void {
    this.#parts.tally.interrupted();
    this.#parts.emitter.emit('interruption', { itemId, playedMs });
  }
}
