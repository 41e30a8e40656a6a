// Threads and processes that were begun, loaded and warmed before a session came for them.

import { ParleyError } from '@parley/core';
import type { Log } from '../log.ts';
import { type IsolationParts, programOf } from './isolated-unit.ts';
import { IsolatedPlace } from './isolated-place.ts';
import { WarmPool } from './warm-pool.ts';

export interface WarmPlacesOptions {
  size: number;
  configurationsMax: number;
  parts: () => IsolationParts;
  log: Log;
}

export class WarmPlaces {
  readonly #options: WarmPlacesOptions;
  readonly #pool: WarmPool<IsolatedPlace>;

  constructor(options: WarmPlacesOptions) {
    const { size, configurationsMax, log } = options;
    this.#options = options;
    this.#pool = new WarmPool({
      size,
      configurationsMax,
      make: (configuration) => this.#make(configuration),
      drop: (place) => place.kill(),
      failed: (error) => log.warn('a place could not be warmed', error),
    });
  }

  get size(): number {
    return this.#pool.size;
  }

  take(configuration: unknown): IsolatedPlace | null {
    return this.#pool.take(configuration);
  }

  /** Resolves when as many are ready as are to be kept. @throws what making one threw. */
  warm(configuration: unknown): Promise<void> {
    return this.#pool.warm(configuration);
  }

  close(): void {
    this.#pool.close();
  }

  async #make(configuration: unknown): Promise<IsolatedPlace> {
    const parts = this.#options.parts();
    const program = await programOf(parts);
    const ready = Promise.withResolvers<void>();
    const place: IsolatedPlace = new IsolatedPlace(parts.kind, parts.heapMb, {
      report: (report) => {
        if (report.type === 'ready') ready.resolve();
        else if (report.type === 'ended') {
          const { error } = report.end;
          ready.reject(error ? ParleyError.from(error) : new ParleyError('internal', 'it ended while it was warmed'));
        }
      },
      gone: (error) => {
        ready.reject(error);
        // It was ready: the next start makes its own.
        if (this.#pool.forget(place)) {
          this.#options.log.warn('a warm place ended before its session came', { message: error.message });
        }
      },
    });
    try {
      place.post({ type: 'prepare', configuration, program });
      await ready.promise;
      return place;
    } catch (error) {
      place.kill();
      throw error;
    }
  }
}
