import { newId, randomSuffix } from '@parley/core';
import type { Connection } from './connection.ts';

// The load mode: each append is answered at once by a delta of the same audio. The frame is not parsed: its audio is
// found by its name and copied.

const APPEND = Buffer.from('"input_audio_buffer.append"');
const AUDIO = Buffer.from('"audio":"');
const QUOTE = 0x22;
const HEAD_BYTES = 160;

/** Where the audio of an append frame stands; null where the frame is something else. */
export function audioIn(frame: Buffer): { from: number; to: number } | null {
  const type = frame.subarray(0, HEAD_BYTES).indexOf(APPEND);
  if (type < 0) return null;
  const audio = frame.indexOf(AUDIO);
  if (audio < 0) return null;
  const from = audio + AUDIO.length;
  const to = frame.indexOf(QUOTE, from);
  return to < 0 ? null : { from, to };
}

export class Echo {
  readonly #connection: Connection;
  #head: string | null = null;
  /** Appends that were answered. */
  answered = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Answers an append; false where the frame is something else. */
  answer(frame: Buffer): boolean {
    const audio = audioIn(frame);
    if (!audio) return false;
    const head = (this.#head ??= this.#begin());
    const start = `${head}${(this.answered++).toString(36)}","delta":"`;
    // A slow reader loses echoes; what was sent is whole.
    if (this.#connection.ready) {
      this.#connection.sendRaw(
        Buffer.concat([Buffer.from(start), frame.subarray(audio.from, audio.to), Buffer.from('"}')]),
      );
    }
    return true;
  }

  /** The one endless response that the deltas belong to. */
  #begin(): string {
    const responseId = `resp_${randomSuffix()}`;
    const itemId = newId('item');
    return `{"type":"response.output_audio.delta","response_id":"${responseId}","item_id":"${itemId}","output_index":0,"content_index":0,"event_id":"event_${randomSuffix()}`;
  }
}
