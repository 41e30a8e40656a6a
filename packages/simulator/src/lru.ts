/** A map that forgets what was used longest ago when the weights of its values pass a limit. */
export class Lru<V> {
  readonly #values = new Map<string, V>();
  readonly #weightMax: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;

  constructor({ weightMax, weigh }: { weightMax: number; weigh: (value: V) => number }) {
    this.#weightMax = weightMax;
    this.#weigh = weigh;
  }

  get(key: string): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.delete(key);
    const weight = this.#weigh(value);
    if (weight > this.#weightMax) return;
    this.#values.set(key, value);
    this.#weight += weight;
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.#weightMax) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#weight -= this.#weigh(value);
  }
}

/** Results of slow work, by key: what is remembered or under way is not begun again. A failure is not remembered. */
export class Remembered<V> {
  readonly #done: Lru<V>;
  readonly #underWay = new Map<string, Promise<V>>();

  constructor(done: Lru<V>) {
    this.#done = done;
  }

  async get(key: string, work: () => Promise<V>): Promise<V> {
    return this.#done.get(key) ?? this.#underWay.get(key) ?? this.#begin(key, work);
  }

  async #begin(key: string, work: () => Promise<V>): Promise<V> {
    const begun = work();
    this.#underWay.set(key, begun);
    try {
      const value = await begun;
      this.#done.set(key, value);
      return value;
    } finally {
      this.#underWay.delete(key);
    }
  }
}
