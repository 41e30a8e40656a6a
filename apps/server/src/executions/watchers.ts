// Who waits for the end of an execution, and who listens to what happens to it. Both are bounded.

import { type ExecutionResource, type ExecutionStatus, ParleyError } from '@parley/core';
import type { Deadlines } from '../agents/deadlines.ts';

/** What happened to an execution, in the order in which it did. */
export type ExecutionEvent =
  | { type: `execution.${ExecutionStatus}`; execution_id: string; at_ms: number; execution: ExecutionResource }
  | { type: 'execution.note'; execution_id: string; at_ms: number; text: string; data?: unknown };

export type ExecutionListener = (event: ExecutionEvent) => void;

export class Watchers {
  readonly #waiters = new Map<string, Set<(execution: ExecutionResource) => void>>();
  readonly #listeners = new Map<string, Set<ExecutionListener>>();
  readonly #deadlines: Deadlines;
  readonly #limits: { waiters_max: number; listeners_max: number };
  #waiting = 0;
  #listening = 0;

  constructor(deadlines: Deadlines, limits: { waiters_max: number; listeners_max: number }) {
    this.#deadlines = deadlines;
    this.#limits = limits;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves with the end, or with null after `timeout_ms`. @throws ParleyError `resource_exhausted` */
  wait(execution_id: string, timeout_ms: number): Promise<ExecutionResource | null> {
    const { waiters_max } = this.#limits;
    if (this.#waiting >= waiters_max) return Promise.reject(full('callers that wait', waiters_max));
    this.#waiting += 1;
    return new Promise((resolve) => {
      const ended = (execution: ExecutionResource | null) => {
        this.#deadlines.remove(deadline);
        this.#waiting -= 1;
        resolve(execution);
      };
      const deadline = this.#deadlines.add(timeout_ms, () => {
        remove(this.#waiters, execution_id, ended);
        ended(null);
      });
      put(this.#waiters, execution_id, ended);
    });
  }

  /** Resolves with the end. For callers that are bounded themselves: agents' requests and sessions. */
  ended(execution_id: string): Promise<ExecutionResource> {
    return new Promise((resolve) => put(this.#waiters, execution_id, resolve));
  }

  /** @throws ParleyError `resource_exhausted` */
  listen(execution_id: string, listener: ExecutionListener): () => void {
    const { listeners_max } = this.#limits;
    if (this.#listening >= listeners_max) throw full('listeners to executions', listeners_max);
    // A fresh function, so that one listener may be given twice and each is taken away by itself.
    const own: ExecutionListener = (event) => listener(event);
    this.#listening += 1;
    put(this.#listeners, execution_id, own);
    return () => {
      if (remove(this.#listeners, execution_id, own)) this.#listening -= 1;
    };
  }

  /** True when somebody listens: an event that nobody hears is not made. */
  hears(execution_id: string): boolean {
    return this.#listeners.has(execution_id);
  }

  tell(event: ExecutionEvent): void {
    for (const listener of this.#listeners.get(event.execution_id) ?? []) listener(event);
  }

  settle(execution: ExecutionResource): void {
    const waiters = this.#waiters.get(execution.execution_id);
    if (!waiters) return;
    this.#waiters.delete(execution.execution_id);
    for (const ended of waiters) ended(execution);
  }
}

function put<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const values = map.get(key);
  if (values) values.add(value);
  else map.set(key, new Set([value]));
}

function remove<T>(map: Map<string, Set<T>>, key: string, value: T): boolean {
  const values = map.get(key);
  if (!values?.delete(value)) return false;
  if (values.size === 0) map.delete(key);
  return true;
}

function full(what: string, limit: number): ParleyError {
  return new ParleyError('resource_exhausted', `the server is at its limit of ${limit} ${what}`, {
    retry_after_ms: 1000,
    details: { limit },
  });
}
