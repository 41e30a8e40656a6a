import { randomSuffix } from '@parley/core';
import type { Item } from '../wire.ts';

const HANDLES_MAX = 256;

/** Conversations that can be taken up again, by their handles. */
export class Resumable {
  readonly #byHandle = new Map<string, readonly Item[]>();

  /** A handle for a conversation as it is now. */
  keep(items: readonly Item[]): string {
    const [oldest] = this.#byHandle.keys();
    if (this.#byHandle.size >= HANDLES_MAX && oldest !== undefined) this.#byHandle.delete(oldest);
    const handle = `handle-${randomSuffix()}`;
    this.#byHandle.set(handle, items);
    return handle;
  }

  find(handle: string): readonly Item[] | undefined {
    return this.#byHandle.get(handle);
  }
}
