import type { Playout } from '@parley/media';
import type { Connection } from './connection.ts';
import type { Conversation } from './conversation.ts';

// The sound of a session whose media the server carries: it knows what was heard, so it truncates by itself.

export interface PlaybackParts {
  connection: Connection;
  conversation: Conversation;
  playout: Playout;
}

/** An item that is still being said: it can be cut when it is closed. */
interface Truncation {
  itemId: string;
  audioEndMs: number;
}

export class Playback {
  readonly #parts: PlaybackParts;

  constructor(parts: PlaybackParts) {
    this.#parts = parts;
  }

  /** Whether anything is heard, or waits to be. */
  get busy(): boolean {
    return this.#parts.playout.busy;
  }

  /** False where the buffer is full. */
  play(responseId: string, itemId: string, samples: Int16Array): boolean {
    return this.#parts.playout.push(responseId, itemId, samples);
  }

  /** The response makes no more sound. */
  end(responseId: string): void {
    this.#parts.playout.end(responseId);
  }

  /**
   * Cuts what is heard: `output_audio_buffer.cleared`, then `conversation.item.truncated` for each item that was not
   * heard to its end. `stop` ends the response that goes on, after which the items can be cut too.
   */
  interrupt(stop: () => void): void {
    const { connection, conversation, playout } = this.#parts;
    const { answers, parts } = playout.cut();
    for (const responseId of answers) connection.send({ type: 'output_audio_buffer.cleared', response_id: responseId });
    const truncations: Truncation[] = [];
    for (const { part: itemId, playedMs } of parts) {
      const entry = conversation.find(itemId);
      // A response beside the conversation has items that are not in it, and one may have been deleted.
      if (!entry) continue;
      const open = entry.item.status === 'in_progress';
      const audioEndMs = open ? Math.floor(playedMs) : Math.min(Math.floor(playedMs), entry.audioMs);
      truncations.push({ itemId, audioEndMs });
      connection.send({
        type: 'conversation.item.truncated',
        item_id: itemId,
        content_index: 0,
        audio_end_ms: audioEndMs,
      });
    }
    stop();
    for (const { itemId, audioEndMs } of truncations) {
      const audioMs = conversation.find(itemId)?.audioMs ?? 0;
      if (audioEndMs <= audioMs) conversation.truncate(itemId, 0, audioEndMs);
    }
  }
}
