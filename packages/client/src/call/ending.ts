// The end of a call, once, whoever ends it: the microphone is let go, the session closed, the line hung up, and told.

import { ParleyError } from '@parley/core';
import type { Emitter } from '../emitter.ts';
import type { CallParts, Over } from './call-parts.ts';
import type { Connection } from './connection.ts';
import type { CallEnd, CallEvents } from './events.ts';
import { releaseAudio } from './release.ts';
import type { Tally } from './tally.ts';

export interface EndingParts extends Pick<CallParts, 'sink' | 'release' | 'closeSession'> {
  connection: Connection;
  emitter: Emitter<CallEvents>;
  tally: Tally;
  /** Stops whatever goes on beside the call. */
  stop: () => void;
  /** It has ended, and this is about to be told. */
  ended: () => void;
}

export class Ending {
  /** Resolves when the call has ended; it never rejects. */
  readonly ended: Promise<CallEnd>;
  readonly #parts: EndingParts;
  readonly #finish: (end: CallEnd) => void;
  #begun = false;
  #released: Promise<void> | undefined;

  constructor(parts: EndingParts) {
    this.#parts = parts;
    let finish: (end: CallEnd) => void = () => {};
    this.ended = new Promise((resolve) => (finish = resolve));
    this.#finish = finish;
  }

  /** From now on nothing is heard or told but the end. */
  get begun(): boolean {
    return this.#begun;
  }

  /** This side ends it, and the session with it. */
  async leave({ reason, error }: Over): Promise<CallEnd> {
    if (this.#begun) return this.ended;
    this.#begin();
    const { closeSession, connection, emitter } = this.#parts;
    // The microphone first: it must not stay open while a server takes its time.
    await this.#release();
    try {
      await closeSession(reason);
    } catch (thrown) {
      // The close below ends the session as well, only without this reason.
      emitter.emit('error', ParleyError.from(thrown, 'unavailable'));
    }
    connection.line.close(1000, reason);
    await this.#end({ reason, error });
    return this.ended;
  }

  /** The other side ended it. */
  async follow(over: Over): Promise<void> {
    if (this.#begun) return;
    this.#begin();
    this.#parts.connection.line.close(1000, over.reason);
    await this.#end(over);
  }

  #begin(): void {
    this.#begun = true;
    this.#parts.connection.giveUp();
  }

  async #end({ reason, error }: Over): Promise<void> {
    const { stop, ended, emitter, tally } = this.#parts;
    stop();
    await this.#release();
    ended();
    const end: CallEnd = { reason, error, stats: tally.stats };
    this.#finish(end);
    emitter.emit('end', end);
  }

  /** Gives the audio back, once. */
  #release(): Promise<void> {
    this.#released ??= (async () => {
      for (const error of await releaseAudio(this.#parts)) this.#parts.emitter.emit('error', error);
    })();
    return this.#released;
  }
}
