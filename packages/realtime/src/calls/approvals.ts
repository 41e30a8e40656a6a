// Yes and no to calls, for one call or for all calls of its tool in this session.

import { ParleyError } from '@parley/core';

export interface Decision {
  approved: boolean;
  /** What the model is told instead of the usual words; an empty text is one too. */
  message?: string | undefined;
}

interface Waiting {
  target: string;
  decision: PromiseWithResolvers<Decision>;
  decided: boolean;
  /** Told at once, besides the promise. */
  told: ((decision: Decision) => void) | undefined;
}

export class Approvals {
  readonly #waiting = new Map<string, Waiting>();
  readonly #always = new Map<string, Decision>();

  /** A call may have to be approved. A decision may come from here on, also while it is not sure that one is needed. */
  expect(callId: string, target: string, decided?: (decision: Decision) => void): void {
    const waiting: Waiting = { target, decision: Promise.withResolvers<Decision>(), decided: false, told: decided };
    this.#waiting.set(callId, waiting);
    const always = this.#always.get(target);
    if (always) this.#decide(waiting, always);
  }

  decided(callId: string): boolean {
    return this.#waiting.get(callId)?.decided ?? false;
  }

  decision(callId: string): Promise<Decision> {
    const waiting = this.#waiting.get(callId);
    if (!waiting) throw new ParleyError('internal', `call '${callId}' waits for no approval`);
    return waiting.decision.promise;
  }

  /** @throws ParleyError `not_found` when no call with that id waits. */
  decide(callId: string, decision: Decision, always: boolean): void {
    const waiting = this.#waiting.get(callId);
    if (!waiting || waiting.decided) {
      const ids = [...this.#waiting.keys()].join(', ') || 'none';
      throw new ParleyError('not_found', `no call '${callId}' waits for an approval; waiting: ${ids}`);
    }
    this.#decide(waiting, decision);
    if (!always) return;
    this.#always.set(waiting.target, decision);
    for (const other of this.#waiting.values()) {
      if (other.target === waiting.target && !other.decided) this.#decide(other, decision);
    }
  }

  forget(callId: string): void {
    this.#waiting.delete(callId);
  }

  close(): void {
    this.#waiting.clear();
  }

  #decide(waiting: Waiting, decision: Decision): void {
    waiting.decided = true;
    waiting.decision.resolve(decision);
    waiting.told?.(decision);
  }
}
