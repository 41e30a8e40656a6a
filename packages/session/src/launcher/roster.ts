// The launches of a launcher: those that wait or run, and for a while those that ended.
//
// P1  Whatever is kept of an ended session goes with it: its key, and the timer that forgets it.

import type { Clock } from '@parley/transport';
import type { Launch } from './launch.ts';
import type { LaunchedSession } from './launched-session.ts';

export interface RosterLimits {
  retainMs: number;
  retainMax: number;
  clock: Clock;
}

export class Roster {
  readonly #limits: RosterLimits;
  readonly #open = new Map<string, Launch>();
  /** Open or ended, in the order of their starts. */
  readonly #sessions = new Map<string, LaunchedSession>();
  /** When an ended session is forgotten. */
  readonly #ended = new Map<string, { cancel(): void }>();
  readonly #keys = new Map<string, Promise<LaunchedSession>>();
  /** The key that a session was started with. */
  readonly #keyOf = new Map<string, string>();
  readonly #waiting = new Set<() => void>();

  constructor(limits: RosterLimits) {
    this.#limits = limits;
  }

  /** Launches that wait or run. */
  get open(): IterableIterator<Launch> {
    return this.#open.values();
  }

  get size(): number {
    return this.#open.size;
  }

  launch(id: string): Launch | undefined {
    return this.#open.get(id);
  }

  session(id: string): LaunchedSession | undefined {
    return this.#sessions.get(id);
  }

  /** All of them, in the order of their starts. */
  sessions(): LaunchedSession[] {
    return [...this.#sessions.values()];
  }

  add(launch: Launch, key: string | undefined): void {
    // One of this id that ended is this one now: its timer must not take it away.
    this.#forget(launch.session.id);
    this.#open.set(launch.session.id, launch);
    this.#sessions.set(launch.session.id, launch.session);
    if (key !== undefined) this.#keyOf.set(launch.session.id, key);
  }

  /** It has ended: it can be read until it is forgotten. */
  end({ session }: Launch): void {
    const { clock, retainMs, retainMax } = this.#limits;
    this.#open.delete(session.id);
    const timer = clock.after(retainMs, () => this.#forget(session.id));
    this.#ended.set(session.id, timer);
    if (this.#ended.size > retainMax) this.#forget(this.#ended.keys().next().value as string);
    if (this.#open.size === 0) for (const wake of this.#waiting) wake();
  }

  /** The launch that began with this key, or this one. One that was refused began nothing: the next is a new try. */
  once(key: string, launch: () => Promise<LaunchedSession>): Promise<LaunchedSession> {
    const known = this.#keys.get(key);
    if (known) return known;
    // In a turn of its own: it may have ended, and be forgotten, before it returns.
    const launched = Promise.resolve().then(launch);
    this.#keys.set(key, launched);
    launched.catch(() => this.#keys.delete(key));
    return launched;
  }

  /** Resolves when nothing waits or runs. */
  async empty(): Promise<void> {
    if (this.#open.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await promise;
    this.#waiting.delete(resolve);
  }

  /** Nothing is forgotten from now on, and no timer holds the process. */
  close(): void {
    for (const timer of this.#ended.values()) timer.cancel();
  }

  #forget(id: string): void {
    const key = this.#keyOf.get(id);
    if (key !== undefined) this.#keys.delete(key);
    this.#keyOf.delete(id);
    this.#ended.get(id)?.cancel();
    this.#ended.delete(id);
    this.#sessions.delete(id);
  }
}
