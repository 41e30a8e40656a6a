// How far the provider can take the conversation up by itself: its newest handle, and the items of the history that the
// handle does not stand for. Those alone are told to a connection that is opened with it.

import type { ModelConnection } from '@parley/providers';

export interface Handle {
  value: string;
}

export class Resumption {
  #handle: Handle | null = null;
  /** The last one that was refused: the connection that gave it may still be there, and have no other. */
  #refused: string | null = null;
  /** Items that came, or were completed, after the handle. */
  #since = new Set<string>();
  /** What was sent after the model last began to answer: the handle of an answer may be older than it. */
  #unheard = new Set<string>();

  get handle(): Handle | null {
    return this.#handle;
  }

  get since(): ReadonlySet<string> {
    return this.#since;
  }

  /** A handle stands for what was there before it. Call it before anything that comes later is taken in. */
  look(connection: ModelConnection): void {
    const value = connection.resumeHandle;
    if (value === undefined || value === this.#handle?.value || value === this.#refused) return;
    this.#handle = { value };
    this.#since = new Set(this.#unheard);
  }

  /** An item came into the history. `mine`: from this side. */
  came(itemId: string, mine: boolean): void {
    // Without a handle all items will be told.
    if (this.#handle) this.#since.add(itemId);
    if (mine) this.#unheard.add(itemId);
  }

  gone(itemId: string): void {
    this.#since.delete(itemId);
    this.#unheard.delete(itemId);
  }

  /** The model begins to answer: it has what was sent before. */
  answers(): void {
    this.#unheard.clear();
  }

  /** The provider does not take it. */
  refused(handle: Handle): void {
    this.#refused = handle.value;
    if (this.#handle === handle) this.#handle = null;
  }
}
