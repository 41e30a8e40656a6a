// The two clocks of one session: how long it has been alone in its call, and how long it may last. Each warns first.

import type { Clock } from '@parley/transport';

/** Why a session is about to end, and how long it has for a goodbye. */
export interface Notice {
  reason: 'idle_timeout' | 'max_duration' | 'draining';
  /** Milliseconds until it is closed. */
  leftMs: number;
}

export interface VigilLimits {
  /** 0: it may be alone for ever. */
  idleMs: number;
  /** null: it may last for ever. */
  durationMs: number | null;
  /** How long before the end it is warned; of a short time no more than the second half. */
  warningMs: number;
}

export interface VigilPorts {
  clock: Clock;
  readonly notice: (notice: Notice) => void;
  readonly expired: (reason: 'idle_timeout' | 'max_duration') => void;
}

interface Timer {
  cancel(): void;
}

export class Vigil {
  readonly #limits: VigilLimits;
  readonly #ports: VigilPorts;
  readonly #duration: Timer | null;
  #idle: Timer | null = null;
  /** Who is in the call besides the agent. */
  #others = 0;
  #over = false;

  /** Begins with the session in its call, alone. */
  constructor(limits: VigilLimits, ports: VigilPorts) {
    this.#limits = limits;
    this.#ports = ports;
    this.#duration = limits.durationMs === null ? null : this.#countDown('max_duration', limits.durationMs);
    this.touch();
  }

  /** Somebody did something, so the time alone begins anew. */
  touch(): void {
    const { idleMs } = this.#limits;
    this.#idle?.cancel();
    this.#idle = null;
    if (this.#over || idleMs === 0 || this.#others > 0) return;
    this.#idle = this.#countDown('idle_timeout', idleMs);
  }

  joined(): void {
    this.#others += 1;
    this.touch();
  }

  left(): void {
    this.#others = Math.max(0, this.#others - 1);
    this.touch();
  }

  stop(): void {
    this.#over = true;
    this.#idle?.cancel();
    this.#duration?.cancel();
  }

  #countDown(reason: 'idle_timeout' | 'max_duration', ms: number): Timer {
    const { clock, notice, expired } = this.#ports;
    const warningMs = Math.min(this.#limits.warningMs, Math.floor(ms / 2));
    let timer = clock.after(ms - warningMs, () => {
      // Set first: what the warning does may stop or touch this vigil.
      timer = clock.after(warningMs, () => expired(reason));
      notice({ reason, leftMs: warningMs });
    });
    return { cancel: () => timer.cancel() };
  }
}
