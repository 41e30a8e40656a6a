// Those who wait for an entry of the log: the end of a say or of a call, by its id.

import type { EventRecord, ParleyError } from '@parley/core';

interface Waiter {
  resolve: (record: EventRecord) => void;
  reject: (error: ParleyError) => void;
}

export class Waiters {
  readonly #waiting = new Map<string, Waiter[]>();

  until(id: string): Promise<EventRecord> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(id) ?? [];
      waiters.push({ resolve, reject });
      this.#waiting.set(id, waiters);
    });
  }

  wake(id: string, record: EventRecord): void {
    for (const waiter of this.#waiting.get(id) ?? []) waiter.resolve(record);
    this.#waiting.delete(id);
  }

  refuse(error: ParleyError): void {
    for (const waiters of this.#waiting.values()) for (const waiter of waiters) waiter.reject(error);
    this.#waiting.clear();
  }
}
