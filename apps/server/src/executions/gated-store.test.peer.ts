// A store in memory whose commits can be held up or refused, to see what is done before and after they are on disk.

import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Committed, Store, Write } from '../store/store.ts';

type Op = Write['op'];

export class GatedStore {
  readonly store: Store;
  /** Every unit that came, in order. */
  readonly units: Write[][] = [];
  readonly #inner: Store;
  #gate: Promise<void> = Promise.resolve();
  #open = (): void => undefined;
  #reads = (): Promise<void> => Promise.resolve();
  #arrived = (): void => undefined;
  #refused: { op: Op; count: number; error: Error } | null = null;

  private constructor(inner: Store) {
    this.#inner = inner;
    this.store = new Proxy(inner, {
      get: (target, key) => {
        if (key === 'commit') return (unit: Write[]) => this.#commit(unit);
        if (key === 'events') return (...asked: Parameters<Store['events']>) => this.#read(asked);
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  static async open(): Promise<GatedStore> {
    return new GatedStore(await openSqliteStore({ directory: ':memory:' }));
  }

  async #commit(unit: Write[]): Promise<Committed> {
    this.units.push(unit);
    this.#arrived();
    await this.#gate;
    const refused = this.#refused;
    if (refused && refused.count > 0 && unit.some((write) => write.op === refused.op)) {
      refused.count -= 1;
      throw refused.error;
    }
    return this.#inner.commit(unit);
  }

  /** Units from now on wait for `open`. */
  shut(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
  }

  /** The next `count` units with such a write are refused. */
  refuse(op: Op, count: number, error: Error): void {
    this.#refused = { op, count, error };
  }

  /** Reads of a log wait from now on, each until it is released by its number, from 0. */
  holdReads(): { release: (number: number) => void } {
    const held: (() => void)[] = [];
    this.#reads = () => new Promise((resolve) => held.push(resolve));
    return { release: (number) => held[number]?.() };
  }

  async #read(asked: Parameters<Store['events']>): ReturnType<Store['events']> {
    await this.#reads();
    return this.#inner.events(...asked);
  }

  /** Resolves when so many units have come. */
  async came(count: number): Promise<void> {
    while (this.units.length < count) await new Promise<void>((resolve) => (this.#arrived = resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open();
    await this.#inner.close();
  }
}
