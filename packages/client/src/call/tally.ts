// What a call counts: the audio of both sides, and what befell it.

import { msOf } from '../pcm.ts';
import type { CallStats } from './events.ts';

export class Tally {
  readonly #stats: CallStats = {
    userAudioMs: 0,
    replyAudioMs: 0,
    interruptions: 0,
    droppedAudioMs: 0,
    reconnections: 0,
  };
  /** Until when the time of the media was counted. */
  #counted_ms = performance.now();

  get stats(): CallStats {
    return { ...this.#stats };
  }

  sent(samples: number): void {
    this.#stats.userAudioMs += msOf(samples);
  }

  dropped(samples: number): void {
    this.#stats.droppedAudioMs += msOf(samples);
  }

  arrived(samples: number): void {
    this.#stats.replyAudioMs += msOf(samples);
  }

  interrupted(): void {
    this.#stats.interruptions += 1;
  }

  reconnected(): void {
    this.#stats.reconnections += 1;
  }

  /** Audio that travels by itself is counted by the clock: which sides of it there were since the last time. */
  passed(user: boolean, reply: boolean): void {
    const since_ms = this.#counted_ms;
    this.#counted_ms = performance.now();
    if (user) this.#stats.userAudioMs += this.#counted_ms - since_ms;
    if (reply) this.#stats.replyAudioMs += this.#counted_ms - since_ms;
  }
}
