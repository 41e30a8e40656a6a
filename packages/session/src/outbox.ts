// Frames on their way out, in order. They wait here while there is no link or the server does not read; a full outbox
// is an answer. Results of executions do not pass through it: they are kept until the server has them (results.ts).

import { type AgentFrame, ParleyError } from '@parley/core';
import type { Link, LinkConnection } from '@parley/transport';

export interface OutboxLimits {
  framesMax: number;
  bytesMax: number;
}

/** A frame that waits. */
export interface Posted {
  readonly text: string;
  /** The connection that it belongs to; once that has ended, any other. */
  readonly over: LinkConnection | null;
  readonly sent: (over: LinkConnection) => void;
}

export class Outbox {
  readonly #link: Link;
  readonly #limits: OutboxLimits;
  readonly #waiting = new Set<Posted>();
  #bytes = 0;

  constructor(link: Link, limits: OutboxLimits) {
    this.#link = link;
    this.#limits = limits;
  }

  /** The connection that a frame of `over` goes to now, or null. */
  route(over: LinkConnection | null): LinkConnection | null {
    if (over?.up) return over;
    return this.#link.current?.up ? this.#link.current : null;
  }

  /**
   * Sends a frame, now or as soon as there is a link.
   * @throws ParleyError `resource_exhausted` when too many wait already.
   */
  post(frame: AgentFrame, over: LinkConnection | null = null, sent: Posted['sent'] = () => undefined): Posted {
    const posted: Posted = { text: JSON.stringify(frame), over, sent };
    if (this.#waiting.size === 0 && this.#sendNow(posted)) return posted;
    const bytes = this.#bytes + posted.text.length;
    if (this.#waiting.size >= this.#limits.framesMax || bytes > this.#limits.bytesMax) {
      throw new ParleyError('resource_exhausted', `${this.#waiting.size} frames already wait for the agent link`, {
        details: { frames_max: this.#limits.framesMax, bytes_max: this.#limits.bytesMax },
      });
    }
    this.#bytes = bytes;
    this.#waiting.add(posted);
    return posted;
  }

  /** Takes back a frame. False when it was sent already. */
  withdraw(posted: Posted): boolean {
    if (!this.#waiting.delete(posted)) return false;
    this.#bytes -= posted.text.length;
    return true;
  }

  /** Sends what waits, as far as the link takes it. */
  flush(): void {
    for (const posted of this.#waiting) {
      if (!this.#sendNow(posted)) return;
      this.withdraw(posted);
    }
  }

  #sendNow(posted: Posted): boolean {
    const connection = this.route(posted.over);
    if (!connection?.send(posted.text)) return false;
    posted.sent(connection);
    return true;
  }
}
