// Coming back after a cut: tries until the time is over or the answer is final.

import { ParleyError, TIMES } from '@parley/core';
import { pause } from '../http.ts';
import type { Reopen } from './call-parts.ts';
import { callError } from './problems.ts';

/** Below the 30 s for which a session waits for a client that was cut off. */
const RECONNECT_MS = 25_000;
const PAUSE_MS_MAX = 5000;

/** A server that does not answer is not waited for long when a call ends. */
export const CLOSE_MS = 5000;

/** A connection that lived shorter than this has not proven that it holds: what breaks again and again is given up. */
const PROVEN_MS = 30_000;

/** What a call reopens its line with; null when it is not to come back. */
export function reconnecting(reconnectMs: number = RECONNECT_MS, signal: AbortSignal, open: Reopen): Reopen | null {
  if (reconnectMs <= 0) return null;
  let since_ms = Number.NEGATIVE_INFINITY;
  let back_ms = Number.NEGATIVE_INFINITY;
  return async (seq) => {
    const now_ms = performance.now();
    if (now_ms - back_ms > PROVEN_MS) since_ms = now_ms;
    const until_ms = since_ms + reconnectMs;
    if (now_ms > until_ms) throw callError('connection_lost', 'unavailable', 'the connection broke again and again');
    for (let attempt = 0; ; attempt++) {
      try {
        const reopened = await open(seq);
        back_ms = performance.now();
        return reopened;
      } catch (thrown) {
        const error = ParleyError.from(thrown, 'unavailable');
        const backoff_ms = Math.min(PAUSE_MS_MAX, TIMES.backoff_min_ms * 2 ** attempt);
        if (!error.retryable || performance.now() + backoff_ms > until_ms) throw error;
        await pause(backoff_ms, signal);
      }
    }
  };
}
