// What a page shows of a call all the time: how loud both sides are, and how well the connection carries them.

import { ParleyError } from '@parley/core';
import type { Emitter } from '../emitter.ts';
import type { CallLine } from './call-parts.ts';
import type { CallEvents } from './events.ts';

const TICK_MS = 50;
/** The quality is looked at every so many ticks: two seconds. */
const QUALITY_TICKS = 40;

export interface GaugesParts {
  emitter: Emitter<CallEvents>;
  line: () => CallLine;
  /** Audio may be sent, and somebody listens. */
  live: () => boolean;
  /** Looks at everything that changes with time. */
  look: () => void;
  levels: () => CallEvents['level'];
  report: (error: ParleyError) => void;
}

export class Gauges {
  readonly #parts: GaugesParts;
  readonly #ticker: ReturnType<typeof setInterval>;
  #ticks = 0;

  constructor(parts: GaugesParts) {
    this.#parts = parts;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  #tick(): void {
    const { emitter, look, levels } = this.#parts;
    look();
    emitter.emit('level', levels());
    this.#ticks += 1;
    if (this.#ticks % QUALITY_TICKS === 0) void this.#tellQuality();
  }

  async #tellQuality(): Promise<void> {
    const { emitter, live, report } = this.#parts;
    const line = this.#parts.line();
    if (line.path !== 'webrtc' || !live()) return;
    try {
      const quality = await line.quality();
      if (live()) emitter.emit('quality', quality);
    } catch (thrown) {
      report(ParleyError.from(thrown, 'internal'));
    }
  }
}
