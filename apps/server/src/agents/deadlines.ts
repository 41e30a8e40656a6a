// Many deadlines, one timer: a wheel of slots. Adding and removing cost the same however many there are, which is what
// a deadline that is nearly always removed before it comes needs.

import type { ServerClock } from './clock.ts';

/** What `add` gives back, for `remove`. */
export interface Deadline {
  readonly slot: number;
  readonly expired: () => void;
}

export class Deadlines {
  readonly #clock: ServerClock;
  readonly #grain_ms: number;
  readonly #slots = new Map<number, Set<Deadline>>();
  /** Every slot up to this one was emptied. */
  #done: number;
  #tick: { cancel(): void } | null = null;

  /** @param grain_ms a deadline is met at most this late, and never early. */
  constructor(clock: ServerClock, grain_ms = 20) {
    this.#clock = clock;
    this.#grain_ms = grain_ms;
    this.#done = this.#slotOf(clock.now());
  }

  /** Calls `expired` once, `ms` milliseconds from now or up to a grain later. */
  add(ms: number, expired: () => void): Deadline {
    if (this.#slots.size === 0) this.#done = this.#slotOf(this.#clock.now());
    const slot = Math.max(this.#done + 1, Math.ceil((this.#clock.now() + ms) / this.#grain_ms));
    const deadline: Deadline = { slot, expired };
    const others = this.#slots.get(slot);
    if (others) others.add(deadline);
    else this.#slots.set(slot, new Set([deadline]));
    this.#tick ??= this.#clock.after(this.#grain_ms, this.#turn);
    return deadline;
  }

  /** Takes it out. One that was met, or removed, is ignored. */
  remove(deadline: Deadline | null): void {
    if (!deadline) return;
    const slot = this.#slots.get(deadline.slot);
    if (slot?.delete(deadline) && slot.size === 0) this.#slots.delete(deadline.slot);
  }

  get size(): number {
    let size = 0;
    for (const slot of this.#slots.values()) size += slot.size;
    return size;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#slots.clear();
    this.#tick?.cancel();
    this.#tick = null;
  }

  readonly #turn = (): void => {
    this.#tick = null;
    const now = this.#slotOf(this.#clock.now());
    const due = this.#due(now);
    // Moved on before the calls: what they add belongs to a later slot.
    this.#done = Math.max(this.#done, now);
    for (const slot of due) {
      const deadlines = this.#slots.get(slot);
      // Taken one by one, so that a call may remove the next.
      for (const deadline of deadlines ?? []) {
        deadlines?.delete(deadline);
        deadline.expired();
      }
      this.#slots.delete(slot);
    }
    if (this.#slots.size > 0) this.#tick ??= this.#clock.after(this.#grain_ms, this.#turn);
  };

  /** Slots that are due, in order. After a long sleep of the machine there are fewer slots than grains to walk. */
  #due(now: number): number[] {
    const due: number[] = [];
    if (now - this.#done <= this.#slots.size) {
      for (let slot = this.#done + 1; slot <= now; slot++) if (this.#slots.has(slot)) due.push(slot);
      return due;
    }
    for (const slot of this.#slots.keys()) if (slot <= now) due.push(slot);
    return due.sort((a, b) => a - b);
  }

  #slotOf(now: number): number {
    return Math.floor(now / this.#grain_ms);
  }
}
