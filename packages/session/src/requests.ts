// Requests to the server, each answered by one `reply`.
//
// P1  Every promise settles: by its reply, by its signal, or at the stop.
// P2  A reply that a cut link took with it is asked for again over the next one, under the same request_id, which a
//     server runs once. Before that the server is given time to send what it has (see `repeat`).
// P3  Another server does not know what the last one ran: there nothing is asked again, and the error says that the
//     outcome is unknown.

import { type AgentFrame, checked, newId, ParleyError, type ServerFrameOf } from '@parley/core';
import type { LinkConnection } from '@parley/transport';
import type { Outbox, Posted } from './outbox.ts';

type Request = Extract<AgentFrame, { request_id: string }>;
type Without<T> = T extends unknown ? Omit<T, 'request_id'> : never;
/** A request before it has its id. */
export type RequestFrame = Without<Exclude<Request, { type: 'function.cancel' }>>;

export interface RequestRoute {
  /** The connection that its execution or session came over. */
  over: LinkConnection | null;
  /** Gives up waiting; a function that was called is told. */
  signal?: AbortSignal | undefined;
}

interface Pending {
  readonly frame: RequestFrame & { request_id: string };
  posted: Posted;
  /** Null while it waits in the outbox. */
  sentOver: LinkConnection | null;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: ParleyError) => void;
}

export class Requests {
  readonly #outbox: Outbox;
  readonly #max: number;
  readonly #pending = new Map<string, Pending>();

  constructor(outbox: Outbox, max: number) {
    this.#outbox = outbox;
    this.#max = max;
  }

  /** True when a reply is still expected over this connection. */
  uses(connection: LinkConnection): boolean {
    return [...this.#pending.values()].some((pending) => pending.sentOver === connection);
  }

  /**
   * Sends a request and waits for its reply.
   * @throws ParleyError `invalid_argument` before it is sent; the error of the reply; `resource_exhausted` past the limit of open requests; the reason of the
   * signal; `unavailable` when the outcome is unknown (P3).
   */
  async send(request: RequestFrame, { over, signal }: RequestRoute): Promise<unknown> {
    if (signal?.aborted) throw ParleyError.from(signal.reason, 'cancelled');
    if (this.#pending.size >= this.#max) {
      throw new ParleyError('resource_exhausted', `${this.#max} requests to the control plane are open already`, {
        details: { limit: this.#max, current: this.#pending.size },
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const frame = { ...request, request_id: newId('request') };
    // A frame that the server refuses gets no reply, so it must not leave.
    checked('AgentFrame', frame);
    const sent = (connection: LinkConnection): void => {
      pending.sentOver = connection;
    };
    const pending: Pending = { frame, posted: { text: '', over, sent }, sentOver: null, resolve, reject };
    pending.posted = this.#outbox.post(frame, over, sent);
    this.#pending.set(frame.request_id, pending);
    const abandon = (): void => this.#abandon(pending, ParleyError.from(signal?.reason, 'cancelled'));
    signal?.addEventListener('abort', abandon, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', abandon);
    }
  }

  reply(frame: ServerFrameOf<'reply'>): void {
    const pending = this.#take(frame.request_id);
    if (frame.error) pending?.reject(ParleyError.from(frame.error));
    else pending?.resolve(frame.result);
  }

  /**
   * Asks again for replies whose connection has ended. To be called when the server has answered a heartbeat on the
   * new connection: replies that it kept for us came before that answer.
   */
  repeat(): void {
    for (const pending of this.#pending.values()) {
      if (pending.sentOver === null || pending.sentOver.up) continue;
      pending.sentOver = null;
      try {
        pending.posted = this.#outbox.post(pending.frame, pending.posted.over, pending.posted.sent);
      } catch (error) {
        this.#take(pending.frame.request_id)?.reject(ParleyError.from(error));
      }
    }
  }

  /** Another server answers now (P3). */
  forget(): void {
    for (const [id, pending] of this.#pending) {
      if (pending.sentOver === null || pending.sentOver.up) continue;
      const message = 'the control plane was replaced before it answered; whether the request ran is unknown';
      const details = { request_id: id, outcome: 'unknown' };
      this.#take(id)?.reject(new ParleyError('unavailable', message, { retryable: false, details }));
    }
  }

  /** Nothing will be answered any more. */
  fail(error: ParleyError): void {
    for (const id of this.#pending.keys()) this.#take(id)?.reject(error);
  }

  #abandon(pending: Pending, reason: ParleyError): void {
    const { request_id, type } = pending.frame;
    if (!this.#take(request_id)) return;
    pending.reject(reason);
    if (this.#outbox.withdraw(pending.posted) || type !== 'function.call') return;
    // Only told where there is a link: a server that loses an agent for good cancels what it called.
    this.#outbox.route(pending.posted.over)?.send(JSON.stringify({ type: 'function.cancel', request_id }));
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
