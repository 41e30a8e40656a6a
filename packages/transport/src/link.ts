// A link that stays: it dials, is welcomed, lives, and comes back. One loop looks at the state and does the next thing;
// everything else (a close, a drain, a stop) changes the state and wakes the loop.
//
// P1  At most one connection is current. `replace` opens the next one before it lets go of the last.
// P2  Only a connection that lived `resetMs` resets the backoff.
// P3  A close with a code of 45xx, a refusal that is not retryable, or a hello that is too large for the peer (1009 in
//     place of a welcome) ends the loop with its error. Everything else comes back.
// P4  `up` and `down` are called once each for each connection that was welcomed, in this order.

import { ParleyError } from '@parley/core';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';
import type { FrameClose, FrameSocket } from './frame-socket.ts';
import { fatalClose, helloTooLarge, LinkConnection, type LinkTerms } from './link-connection.ts';

/** Who speaks over the link. */
export interface LinkPeer {
  /** The first frame of each connection. */
  hello(): string;
  /**
   * Reads a frame of a connection that is not up yet. Returns its terms when it is the welcome, null when it is
   * something else; throws the ParleyError of a refusal.
   */
  welcome(frame: unknown): LinkTerms | null;
  heartbeat(): string;
  /** A connection was welcomed with `frame` and is current now. */
  up(connection: LinkConnection, frame: unknown): void;
  frame(frame: unknown, connection: LinkConnection): void;
  /** What a connection could not take before, it can take now. */
  writable(connection: LinkConnection): void;
  down(connection: LinkConnection, close: FrameClose): void;
  /** A connection could not be had; the next try comes in `delayMs`. */
  retrying?(error: ParleyError, delayMs: number): void;
}

export interface LinkOptions {
  dial: (signal: AbortSignal) => Promise<FrameSocket>;
  backoff?: BackoffOptions | undefined;
  /** A peer that was dialled must welcome within this many milliseconds. Default 10,000. */
  welcomeMs?: number | undefined;
  /** `send` answers false while more bytes than this wait in the socket. Default 8 MiB. */
  bufferedBytesMax?: number | undefined;
  clock?: Clock | undefined;
}

type Opened = { kind: 'ok'; connection: LinkConnection } | { kind: 'retryable' | 'fatal'; error: ParleyError };

export class Link {
  readonly #peer: LinkPeer;
  readonly #options: LinkOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  readonly #retiring = new Set<LinkConnection>();
  #current: LinkConnection | null = null;
  #replacing = false;
  #notBefore = 0;
  #fatal: ParleyError | null = null;
  #wake: () => void = () => undefined;

  constructor(peer: LinkPeer, options: LinkOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff = new Backoff(options.backoff);
  }

  /** The connection that new frames go to, or null while there is none. */
  get current(): LinkConnection | null {
    return this.#current;
  }

  /** Connections that were replaced and still finish old work. */
  get retiring(): ReadonlySet<LinkConnection> {
    return this.#retiring;
  }

  /**
   * Keeps the link up. Resolves after `stop`.
   * @throws ParleyError when the peer refused for good (P3).
   */
  async run(): Promise<void> {
    try {
      while (!this.#stopping.signal.aborted) {
        if (this.#fatal) throw this.#fatal;
        if (this.#current && !this.#replacing) {
          await this.#sleep();
          continue;
        }
        const waitMs = this.#notBefore - this.#clock.now();
        if (waitMs > 0) {
          await this.#sleep(waitMs);
          continue;
        }
        const opened = await this.#open();
        if (this.#stopping.signal.aborted) break;
        if (opened.kind === 'fatal') throw opened.error;
        if (opened.kind === 'retryable') this.#retryLater(opened.error);
      }
    } finally {
      // A stop says goodbye; after a refusal there is nobody to say it to, and closing twice does nothing.
      for (const connection of [this.#current, ...this.#retiring]) connection?.close(1000, 'done');
      while (this.#current || this.#retiring.size > 0) await this.#sleep();
    }
  }

  /** Opens another connection, and keeps the current one beside it until `retire`. */
  replace(): void {
    if (this.#replacing || !this.#current) return;
    this.#replacing = true;
    this.#notBefore = this.#clock.now() + this.#backoff.next();
    this.#wake();
  }

  /** Closes a connection whose old work is done. */
  retire(connection: LinkConnection): void {
    if (this.#retiring.has(connection)) connection.close(1000, 'replaced');
  }

  /** Ends it: closes every connection, and when they are closed `run` resolves. */
  stop(): void {
    this.#stopping.abort();
    this.#wake();
  }

  #retryLater(error: ParleyError): void {
    const delayMs = this.#backoff.next(error.retryAfterMs ?? 0);
    this.#notBefore = this.#clock.now() + delayMs;
    this.#peer.retrying?.(error, delayMs);
  }

  /** Until somebody wakes the loop, or `ms` passed. */
  #sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? null : this.#clock.after(ms, () => this.#wake());
      this.#wake = () => {
        timer?.cancel();
        this.#wake = () => undefined;
        resolve();
      };
    });
  }

  /** Dials, says hello, and waits for the welcome. */
  async #open(): Promise<Opened> {
    let socket: FrameSocket;
    try {
      socket = await this.#options.dial(this.#stopping.signal);
    } catch (error) {
      const refusal = ParleyError.from(error, 'unavailable');
      return { kind: refusal.retryable ? 'retryable' : 'fatal', error: refusal };
    }
    return new Promise((resolve) => {
      let phase: 'waiting' | 'up' | 'refused' = 'waiting';
      let hello = '';
      const settle = (opened: Opened): void => {
        if (phase !== 'waiting') return;
        phase = opened.kind === 'ok' ? 'up' : 'refused';
        timer.cancel();
        this.#stopping.signal.removeEventListener('abort', cut);
        resolve(opened);
      };
      const refuse = (refusal: ParleyError): void => {
        settle({ kind: refusal.retryable ? 'retryable' : 'fatal', error: refusal });
        connection.terminate();
      };
      const cut = (): void => refuse(new ParleyError('unavailable', 'stopped before the welcome'));
      const connection = new LinkConnection(socket, this.#clock, this.#options.bufferedBytesMax ?? 8 * 1024 * 1024, {
        frame: (frame) => {
          if (phase === 'up') this.#peer.frame(frame, connection);
          if (phase !== 'waiting') return;
          try {
            const terms = this.#peer.welcome(frame);
            if (!terms) return;
            settle({ kind: 'ok', connection });
            this.#adopt(connection, terms, frame);
          } catch (error) {
            refuse(ParleyError.from(error));
          }
        },
        writable: () => this.#peer.writable(connection),
        closed: (_, close) => {
          if (phase === 'up') return this.#closed(connection, close);
          const error =
            fatalClose(close) ??
            helloTooLarge(close, hello) ??
            new ParleyError('unavailable', `the peer closed the link with ${describeClose(close)}`);
          settle({ kind: error.retryable ? 'retryable' : 'fatal', error });
        },
      });
      const welcomeMs = this.#options.welcomeMs ?? 10_000;
      const timer = this.#clock.after(welcomeMs, () =>
        refuse(new ParleyError('unavailable', `the peer did not welcome the link within ${welcomeMs} ms`)),
      );
      this.#stopping.signal.addEventListener('abort', cut);
      if (this.#stopping.signal.aborted) return cut();
      hello = this.#peer.hello();
      connection.send(hello);
    });
  }

  #adopt(connection: LinkConnection, terms: LinkTerms, frame: unknown): void {
    if (this.#current) this.#retiring.add(this.#current);
    this.#current = connection;
    this.#replacing = false;
    connection.welcomed(terms, () => this.#peer.heartbeat());
    this.#peer.up(connection, frame);
  }

  #closed(connection: LinkConnection, close: FrameClose): void {
    // How a connection that was replaced ends says nothing about the link.
    const lost = !this.#retiring.delete(connection);
    if (lost) this.#lose(connection, close);
    this.#peer.down(connection, close);
    if (lost && !this.#fatal && !this.#stopping.signal.aborted) {
      this.#retryLater(new ParleyError('unavailable', `the link was closed with ${describeClose(close)}`));
    }
    this.#wake();
  }

  #lose(connection: LinkConnection, close: FrameClose): void {
    this.#current = null;
    // A peer may let go of the last connection before it has answered on the next one: that one tells (P1).
    this.#fatal = this.#replacing ? null : fatalClose(close);
    this.#replacing = false;
    this.#backoff.lived(this.#clock.now() - connection.openedAt);
  }
}

function describeClose(close: FrameClose): string {
  return close.reason ? `${close.code}: ${close.reason}` : String(close.code);
}
