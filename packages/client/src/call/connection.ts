// What carries a call: a line, and after a cut the next one, until the call is over or no other can be had.

import { type EventRecord, ParleyError } from '@parley/core';
import type { SocketEnd, SocketFrame } from '../frame-line.ts';
import type { CallLine, Over, Reopen } from './call-parts.ts';
import { callProblemOf } from './problems.ts';

export interface ConnectionParts {
  reopen: Reopen | null;
  /** Number of the newest entry of the log that came. */
  seq: () => number;
  frame: (frame: SocketFrame) => void;
  /** The line was cut, and another one is being opened. */
  lost: () => void;
  /** Another one is there; these entries were missed. */
  back: (missed: EventRecord[]) => void;
  /** The line is gone for good. */
  over: (over: Over) => void;
}

export class Connection {
  readonly #parts: ConnectionParts;
  #line: CallLine;
  /** Nobody wants it any more: its end is the one that was asked for. */
  #given_up = false;
  /** Why the control plane gave the last line up. */
  #broken: ParleyError | null = null;

  constructor(line: CallLine, parts: ConnectionParts) {
    this.#line = line;
    this.#parts = parts;
    // A task later, so that whoever started the call can listen before the first frame is told.
    setTimeout(() => this.#adopt(line), 0);
  }

  get line(): CallLine {
    return this.#line;
  }

  /** The control plane says that it gave this line up, and why. */
  brokenBy(error: ParleyError): void {
    this.#broken = error;
  }

  /** From now on no line is opened any more, and an end of this one is not told. */
  giveUp(): void {
    this.#given_up = true;
  }

  #adopt(line: CallLine): void {
    this.#line = line;
    line.on('event', (frame) => {
      // Over WebRTC the log comes by its own stream, with nothing missing; pieces of it on the channel are not it.
      if (line.path === 'websocket' || frame.type !== 'parley.event') this.#parts.frame(frame);
    });
    void line.closed.then((end) => this.#closed(line, end));
  }

  async #closed(line: CallLine, end: SocketEnd): Promise<void> {
    const { reopen, seq, lost, back, over } = this.#parts;
    if (this.#given_up || line !== this.#line) return;
    if (!end.error?.retryable || !reopen) {
      return over({ reason: end.reason || (end.error ? 'connection_lost' : 'closed'), error: end.error });
    }
    lost();
    try {
      const reopened = await reopen(seq());
      if (this.#left()) return 'line' in reopened ? reopened.line.close(1000, 'hung_up') : undefined;
      if ('over' in reopened) return over(reopened.over);
      back(reopened.missed);
      this.#adopt(reopened.line);
    } catch (thrown) {
      if (this.#left()) return;
      const error = ParleyError.from(thrown, 'unavailable');
      // That it broke is known; why is what the other side said.
      const why = callProblemOf(error) === 'connection_lost' ? (this.#broken ?? error) : error;
      over({ reason: 'connection_lost', error: why });
    }
  }

  /** Somebody may have hung up while something was awaited. */
  #left(): boolean {
    return this.#given_up;
  }
}
