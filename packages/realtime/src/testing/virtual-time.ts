// Time that stands until a test moves it, and a session that has done all it can before it moves.

import { ManualClock } from '@parley/transport';

/**
 * The clock of a session under test.
 *
 * @example
 * const time = new VirtualTime();
 * const session = await runner.run({ clock: time });
 * await time.pass(30_000); // half a minute, at once
 */
export class VirtualTime extends ManualClock {
  /** Lets everything that needs no time happen: frames that are under way, promises, functions that were called. */
  async settle(): Promise<void> {
    // Whatever was started by one turn of the loop has had its turn after the next.
    for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  /** Moves on by so many milliseconds, from one timer to the next, and lets each one's consequences happen. */
  async pass(ms: number): Promise<void> {
    const end = this.now() + ms;
    await this.settle();
    for (;;) {
      const next = this.waiting[0];
      const left = end - this.now();
      if (next === undefined || next > left) break;
      this.advance(Math.max(0, next));
      await this.settle();
    }
    this.advance(end - this.now());
    await this.settle();
  }

  /** Resolves when `condition` holds; moves time for it when nothing else can make it hold. */
  async until(condition: () => boolean, withinMs = 60_000): Promise<void> {
    const end = this.now() + withinMs;
    for (;;) {
      await this.settle();
      if (condition()) return;
      const next = this.waiting[0];
      if (next === undefined || this.now() + next > end) {
        throw new Error(`the condition did not come to hold within ${withinMs} ms of virtual time`);
      }
      this.advance(Math.max(0, next));
    }
  }
}

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
