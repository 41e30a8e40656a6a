// Everything that ends a turn early, as one signal whose reason is what the turn ends with.

import type { ParleyError } from '@parley/core';
import { turnError } from './failures.ts';
import { abortedError, type TurnRequest } from './request.ts';

export interface Interruption extends Disposable {
  readonly signal: AbortSignal;
  /** Ends the turn with this error. */
  end(error: unknown): void;
}

/**
 * For adapters: watches the deadline and the signal of a request, and `others` (the backend was lost, the runner disposed of).
 * @param waitingFor what the turn waits for, asked when the deadline is over.
 */
export function interruptionOf(
  request: TurnRequest,
  others: readonly AbortSignal[],
  waitingFor: () => string,
): Interruption {
  const over = new AbortController();
  const { signal, timeoutMs } = request;
  const caller = (): void => over.abort(abortedError(signal as AbortSignal));
  signal?.addEventListener('abort', caller, { once: true });
  const timer = setTimeout(() => over.abort(timeoutError(timeoutMs, waitingFor())), timeoutMs);
  return {
    signal: AbortSignal.any([over.signal, ...others]),
    end: (error) => over.abort(error),
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', caller);
    },
  };
}

function timeoutError(timeoutMs: number, waitingFor: string): ParleyError {
  return turnError('timeout', `the turn did not end within ${timeoutMs / 1000} s; it waited for ${waitingFor}`, {
    details: { waiting_for: waitingFor },
  });
}

/** Settles as `work` does, or rejects with the reason of the signal, whichever is first. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const cut = (): void => reject(signal.reason as Error);
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut));
  });
}
