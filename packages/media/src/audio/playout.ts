// What a model says, as it is heard: answers in parts, played one after the other, and cut where the listener
// interrupts.
//
// P1  Each answer that made a sound starts once, and then stops or is cut, once.
// P2  `cut` says of each part how much of it was heard, to the sample.

import { OpusOut, type OpusOutOptions } from './opus-out.ts';

export interface PlayoutOptions extends Omit<OpusOutOptions, 'onStarted' | 'onStopped'> {
  /** The first sound of an answer left. */
  onStarted?: ((answer: string) => void) | undefined;
  /** All of an answer was played. */
  onStopped?: ((answer: string) => void) | undefined;
}

/** What an interruption left of one part. */
export interface CutPart {
  /** As given to `push`. */
  readonly answer: string;
  readonly part: string;
  /** How much of it was heard. */
  readonly playedMs: number;
  /** How much of it there was when it was cut. */
  readonly pushedMs: number;
}

export interface Cut {
  /** The answers that were being heard or waited to be, in order. */
  readonly answers: readonly string[];
  /** The parts that were not heard to their end. */
  readonly parts: readonly CutPart[];
}

interface Part {
  readonly name: string;
  /** On the time line of the buffer. */
  readonly fromMs: number;
  toMs: number;
}

interface Answer {
  readonly name: string;
  readonly parts: Part[];
  started: boolean;
  ended: boolean;
}

/**
 * Plays answers in the order in which they were pushed.
 *
 * @example
 * const playout = new Playout({ send: (packet, timestamp, marker) => peer.sendAudio(packet, timestamp, marker) });
 * playout.start();
 * playout.push('resp_1', 'item_1', samples);
 * playout.end('resp_1');
 * const { parts } = playout.cut(); // [{ answer: 'resp_1', part: 'item_1', playedMs: 1240, pushedMs: 8000 }]
 */
export class Playout {
  readonly #out: OpusOut;
  readonly #onStarted: ((answer: string) => void) | null;
  readonly #onStopped: ((answer: string) => void) | null;
  /** Those that were not heard to their end yet; the first is the one that is heard. */
  readonly #answers: Answer[] = [];
  /** What was played before the frame that is leaving. */
  #heardMs = 0;

  constructor(options: PlayoutOptions) {
    const { onStarted, onStopped, send, ...rest } = options;
    this.#onStarted = onStarted ?? null;
    this.#onStopped = onStopped ?? null;
    this.#out = new OpusOut({
      ...rest,
      send: (packet, timestamp, marker) => {
        // Before this frame leaves, what the last one ended has been heard.
        this.#settle();
        send(packet, timestamp, marker);
      },
    });
  }

  /** Whether sound is heard, or waits to be. */
  get busy(): boolean {
    return this.#answers.length > 0;
  }

  get queuedMs(): number {
    return this.#out.queuedMs;
  }

  start(): void {
    this.#out.start();
  }

  /**
   * Queues samples of a part of an answer; they must not be changed afterwards.
   *
   * @returns false where the buffer is full, and nothing was taken
   */
  push(answer: string, part: string, samples: Int16Array): boolean {
    if (samples.length === 0) return true;
    const fromMs = this.#out.pushedMs;
    if (!this.#out.push(samples)) return false;
    const open = this.#answerOf(answer);
    let last = open.parts.at(-1);
    if (last?.name !== part) {
      last = { name: part, fromMs, toMs: fromMs };
      open.parts.push(last);
    }
    last.toMs = this.#out.pushedMs;
    return true;
  }

  #answerOf(name: string): Answer {
    const known = this.#answers.find((answer) => answer.name === name);
    if (known) return known;
    const answer = { name, parts: [], started: false, ended: false };
    this.#answers.push(answer);
    return answer;
  }

  /** Nothing more of this answer comes. */
  end(answer: string): void {
    const known = this.#answers.find(({ name }) => name === answer);
    if (!known) return;
    known.ended = true;
    if (known === this.#answers.at(-1)) this.#out.end();
  }

  /** Silences everything with the next frame, and says what was heard. */
  cut(): Cut {
    const { playedMs } = this.#out;
    this.#out.clear();
    const answers = this.#answers.splice(0);
    return {
      answers: answers.map(({ name }) => name),
      parts: answers.flatMap((answer) =>
        answer.parts.flatMap(({ name, fromMs, toMs }) =>
          toMs <= playedMs
            ? []
            : [
                {
                  answer: answer.name,
                  part: name,
                  playedMs: Math.max(0, playedMs - fromMs),
                  pushedMs: toMs - fromMs,
                },
              ],
        ),
      ),
    };
  }

  close(): void {
    this.#answers.length = 0;
    this.#out.close();
  }

  /** Runs with each frame: who began with it, and who ended before it. */
  #settle(): void {
    const { playedMs } = this.#out;
    for (;;) {
      const first = this.#answers[0];
      if (!first) return;
      const fromMs = first.parts[0]?.fromMs ?? 0;
      if (!first.started && playedMs > fromMs) {
        first.started = true;
        this.#onStarted?.(first.name);
        if (this.#answers[0] !== first) continue;
      }
      // The frame that is about to leave may hold its last samples: it is over when the next one leaves.
      const toMs = first.parts.at(-1)?.toMs ?? 0;
      if (!first.ended || !first.started || this.#heardMs < toMs) break;
      this.#answers.shift();
      this.#onStopped?.(first.name);
    }
    this.#heardMs = playedMs;
  }
}
