// Executions that wait for room: in the order in which they came, for each function apart, so that a function at its
// limit does not hold up the others.

import type { Entry } from './entry.ts';

export class Queue {
  /** Agent to function to its waiting executions. */
  readonly #waiting = new Map<string, Map<string, Set<Entry>>>();
  /** Executions of a function with a limit that have a place. */
  readonly #busy = new Map<string, number>();

  add(entry: Entry): void {
    let functions = this.#waiting.get(entry.agent);
    if (!functions) this.#waiting.set(entry.agent, (functions = new Map()));
    const entries = functions.get(entry.name);
    if (entries) entries.add(entry);
    else functions.set(entry.name, new Set([entry]));
  }

  remove(entry: Entry): void {
    const functions = this.#waiting.get(entry.agent);
    const entries = functions?.get(entry.name);
    if (!functions || !entries?.delete(entry) || entries.size > 0) return;
    functions.delete(entry.name);
    if (functions.size === 0) this.#waiting.delete(entry.agent);
  }

  /** Whether others of the same function came before. */
  hasWaiting(agent: string, name: string): boolean {
    return this.#waiting.get(agent)?.has(name) ?? false;
  }

  /** Gives each waiting execution of an agent to `place`, one of each function in turn, until it takes no more. */
  pump(agent: string, place: (entry: Entry) => boolean): void {
    const functions = this.#waiting.get(agent);
    if (!functions) return;
    const open = new Set(functions.keys());
    while (open.size > 0) {
      for (const name of open) {
        const first = functions.get(name)?.values().next().value;
        if (first && place(first)) this.remove(first);
        else open.delete(name);
      }
    }
  }

  hasRoom(entry: { agent: string; name: string; max_concurrent: number }): boolean {
    if (entry.max_concurrent === 0) return true;
    return (this.#busy.get(`${entry.agent}.${entry.name}`) ?? 0) < entry.max_concurrent;
  }

  take(entry: Entry): void {
    if (entry.max_concurrent > 0) this.#count(entry, 1);
  }

  release(entry: Entry): void {
    if (entry.max_concurrent > 0) this.#count(entry, -1);
  }

  #count(entry: Entry, change: number): void {
    const target = `${entry.agent}.${entry.name}`;
    const count = (this.#busy.get(target) ?? 0) + change;
    if (count > 0) this.#busy.set(target, count);
    else this.#busy.delete(target);
  }
}
