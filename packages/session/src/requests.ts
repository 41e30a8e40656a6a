// Requests to the server, each answered by one `reply`.
//
// P1  Every promise settles: by its reply, by its signal, when its connection is cut, or at the stop.
// P2  A request that was sent is never sent again: whether it ran is not known, and the error says so.

import { type AgentFrame, newId, ParleyError, type ServerFrameOf } from '@parley/core';
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
  resolve: (result: unknown) => void;
  reject: (error: ParleyError) => void;
  sentOver: LinkConnection | null;
}

export class Requests {
  readonly #outbox: Outbox;
  readonly #max: number;
  readonly #pending = new Map<string, Pending>();

  constructor(outbox: Outbox, max: number) {
    this.#outbox = outbox;
    this.#max = max;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** True when a reply is still expected over this connection. */
  uses(connection: LinkConnection): boolean {
    return [...this.#pending.values()].some((pending) => pending.sentOver === connection);
  }

  /**
   * Sends a request and waits for its reply.
   * @throws ParleyError the error of the reply; `resource_exhausted` past the limit of open requests; the reason of the
   * signal; `unavailable` when the link was cut before the answer.
   */
  send(request: RequestFrame, { over, signal }: RequestRoute): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw ParleyError.from(signal.reason, 'cancelled');
      if (this.#pending.size >= this.#max) {
        throw new ParleyError('resource_exhausted', `${this.#max} requests to the control plane are open already`, {
          details: { limit: this.#max, current: this.#pending.size },
        });
      }
      const request_id = newId('request');
      const abandon = (): void => {
        this.#pending.delete(request_id);
        signal?.removeEventListener('abort', abandon);
        if (!this.#outbox.withdraw(posted) && request.type === 'function.call') this.#cancel(request_id, pending);
        reject(ParleyError.from(signal?.reason, 'cancelled'));
      };
      const pending: Pending = {
        resolve: (result) => {
          signal?.removeEventListener('abort', abandon);
          resolve(result);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', abandon);
          reject(error);
        },
        sentOver: null,
      };
      const posted: Posted = this.#outbox.post({ ...request, request_id }, over, (connection) => {
        pending.sentOver = connection;
      });
      this.#pending.set(request_id, pending);
      signal?.addEventListener('abort', abandon, { once: true });
    });
  }

  reply(frame: ServerFrameOf<'reply'>): void {
    const pending = this.#take(frame.request_id);
    if (!pending) return;
    if (frame.error) pending.reject(ParleyError.from(frame.error));
    else pending.resolve(frame.result);
  }

  /** A connection ended: its replies are lost (P2). */
  down(connection: LinkConnection): void {
    for (const [id, pending] of this.#pending) {
      if (pending.sentOver !== connection) continue;
      this.#take(id)?.reject(
        new ParleyError('unavailable', 'the agent link was cut before the answer; whether the request ran is unknown', {
          retryable: false,
          details: { request_id: id, outcome: 'unknown' },
        }),
      );
    }
  }

  /** Nothing will be answered any more. */
  fail(error: ParleyError): void {
    for (const id of this.#pending.keys()) this.#take(id)?.reject(error);
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #cancel(request_id: string, pending: Pending): void {
    // A server that is gone cancels by itself, so only a live connection is told.
    if (pending.sentOver?.up) pending.sentOver.send(JSON.stringify({ type: 'function.cancel', request_id }));
  }
}
