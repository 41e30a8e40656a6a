// Agents that were made and warmed before anybody called, kept by the configuration that they were made of: an agent of
// one configuration is never given to another, though both are of one class.

import { ParleyError } from '@parley/core';

export interface WarmPoolOptions<Made> {
  /** Ready agents for each configuration. 0 keeps none. */
  size: number;
  /** Configurations that are kept warm; past it the one that was asked for longest ago goes. */
  configurationsMax: number;
  make(configuration: unknown): Promise<Made>;
  /** One that was made for nothing. */
  drop(made: Made): void;
  /** One could not be made in advance. */
  failed(error: { configuration: string; code: string; message: string }): void;
}

interface Shelf<Made> {
  readonly ready: Made[];
  making: number;
}

export class WarmPool<Made> {
  readonly #options: WarmPoolOptions<Made>;
  readonly #shelves = new Map<string, Shelf<Made>>();
  #closed = false;

  constructor(options: WarmPoolOptions<Made>) {
    this.#options = options;
  }

  /** Ready agents. */
  get size(): number {
    let ready = 0;
    for (const shelf of this.#shelves.values()) ready += shelf.ready.length;
    return ready;
  }

  /** A ready one of this very configuration, or null. Either way the next ones are being made. */
  take(configuration: unknown): Made | null {
    if (this.#options.size === 0 || this.#closed) return null;
    const key = keyOf(configuration);
    const made = this.#shelf(key).ready.shift() ?? null;
    void this.#fill(key, configuration);
    return made;
  }

  /** Resolves when as many as are wanted are ready, or it is closed. @throws what making one threw. */
  async warm(configuration: unknown): Promise<void> {
    if (this.#closed) return;
    const shelf = this.#shelf(keyOf(configuration));
    const missing = Math.max(0, this.#options.size - shelf.ready.length - shelf.making);
    await Promise.all(Array.from({ length: missing }, () => this.#make(shelf, configuration)));
  }

  /** A ready one came to its end before anybody wanted it. False when it is not here. */
  forget(made: Made): boolean {
    for (const { ready } of this.#shelves.values()) {
      const at = ready.indexOf(made);
      if (at >= 0) return ready.splice(at, 1).length > 0;
    }
    return false;
  }

  close(): void {
    this.#closed = true;
    for (const { ready } of this.#shelves.values()) for (const made of ready.splice(0)) this.#options.drop(made);
    this.#shelves.clear();
  }

  async #fill(key: string, configuration: unknown): Promise<void> {
    try {
      await this.warm(configuration);
    } catch (error) {
      // The next start of this configuration makes its own, and is told if that fails too.
      const { code, message } = ParleyError.from(error);
      this.#options.failed({ configuration: key, code, message });
    }
  }

  async #make(shelf: Shelf<Made>, configuration: unknown): Promise<void> {
    shelf.making += 1;
    try {
      const made = await this.#options.make(configuration);
      if (this.#closed || ![...this.#shelves.values()].includes(shelf)) this.#options.drop(made);
      else shelf.ready.push(made);
    } finally {
      shelf.making -= 1;
    }
  }

  #shelf(key: string): Shelf<Made> {
    const shelf = this.#shelves.get(key) ?? { ready: [], making: 0 };
    // The one that was asked for last is at the end.
    this.#shelves.delete(key);
    this.#shelves.set(key, shelf);
    if (this.#shelves.size > this.#options.configurationsMax) {
      const [oldest, gone] = this.#shelves.entries().next().value as [string, Shelf<Made>];
      this.#shelves.delete(oldest);
      for (const made of gone.ready.splice(0)) this.#options.drop(made);
    }
    return shelf;
  }
}

/** The same text for values that are the same JSON, whatever the order of their fields. */
export function keyOf(value: unknown): string {
  return (
    JSON.stringify(value, (_name, field: unknown) =>
      typeof field === 'object' && field !== null && !Array.isArray(field)
        ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
        : field,
    ) ?? 'undefined'
  );
}
