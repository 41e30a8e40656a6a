// Executions that wait for room: in the order in which they came, for each function apart, so that a function at its
// limit does not hold up the others. What running work called goes first: its callers hold on until it has ended.

import type { Entry } from './entry.ts';

/** The waiting executions of one agent: function to executions, called ones and others. */
interface Lanes {
  called: Map<string, Set<Entry>>;
  roots: Map<string, Set<Entry>>;
}

export class Queue {
  readonly #waiting = new Map<string, Lanes>();
  /** Executions of a function with a limit that have a place. */
  readonly #busy = new Map<string, number>();

  add(entry: Entry): void {
    let lanes = this.#waiting.get(entry.agent);
    if (!lanes) this.#waiting.set(entry.agent, (lanes = { called: new Map(), roots: new Map() }));
    const lane = laneOf(lanes, entry);
    const entries = lane.get(entry.name);
    if (entries) entries.add(entry);
    else lane.set(entry.name, new Set([entry]));
  }

  remove(entry: Entry): void {
    const lanes = this.#waiting.get(entry.agent);
    if (!lanes) return;
    const lane = laneOf(lanes, entry);
    const entries = lane.get(entry.name);
    if (!entries?.delete(entry) || entries.size > 0) return;
    lane.delete(entry.name);
    if (lanes.called.size + lanes.roots.size === 0) this.#waiting.delete(entry.agent);
  }

  /** Whether others of the same function came before it. */
  hasWaiting(entry: Entry): boolean {
    const lanes = this.#waiting.get(entry.agent);
    return lanes !== undefined && laneOf(lanes, entry).has(entry.name);
  }

  /** Gives the waiting executions of an agent to `place`, one of each function in turn, until it takes no more. */
  pump(agent: string, place: (entry: Entry) => boolean): void {
    const lanes = this.#waiting.get(agent);
    if (!lanes) return;
    for (const lane of [lanes.called, lanes.roots]) {
      const open = new Set(lane.keys());
      while (open.size > 0) {
        for (const name of open) {
          const first = lane.get(name)?.values().next().value;
          if (first && place(first)) this.remove(first);
          else open.delete(name);
        }
      }
    }
  }

  hasRoom(entry: Entry): boolean {
    if (entry.max_concurrent === 0) return true;
    return (this.#busy.get(entry.resource.target) ?? 0) < entry.max_concurrent;
  }

  take(entry: Entry): void {
    if (entry.max_concurrent > 0) this.#count(entry.resource.target, 1);
  }

  release(entry: Entry): void {
    if (entry.max_concurrent > 0) this.#count(entry.resource.target, -1);
  }

  #count(target: string, change: number): void {
    const count = (this.#busy.get(target) ?? 0) + change;
    if (count > 0) this.#busy.set(target, count);
    else this.#busy.delete(target);
  }
}

function laneOf(lanes: Lanes, entry: Entry): Map<string, Set<Entry>> {
  return isCalled(entry) ? lanes.called : lanes.roots;
}

/** What running work or an open session called. */
export function isCalled(entry: Entry): boolean {
  return entry.parent !== null || entry.resource.session_id !== undefined;
}
