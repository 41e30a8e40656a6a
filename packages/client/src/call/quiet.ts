// Waiting until nothing is said any more.

import { ParleyError } from '@parley/core';
import type { Listener } from '../emitter.ts';
import type { CallEvents, CallState } from './events.ts';

export interface QuietOptions {
  /** For how long nothing may have happened, in milliseconds. Default 0. */
  forMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A call, as far as it is listened to. */
export interface Listened {
  readonly state: CallState;
  on<K extends 'level' | 'end'>(name: K, listener: Listener<CallEvents[K]>): () => void;
}

/** Looks with every `level`, some twenty times a second, until `busy` was false for so long or the call is over. */
export function untilQuiet(call: Listened, busy: () => boolean, { forMs = 0, signal }: QuietOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let since_ms = performance.now();
    const look = (): void => {
      if (call.state === 'ended') return settle();
      if (busy()) since_ms = performance.now() + 1;
      else if (performance.now() - since_ms >= forMs) settle();
    };
    const settle = (error?: ParleyError): void => {
      for (const remove of off) remove();
      signal?.removeEventListener('abort', stop);
      if (error) reject(error);
      else resolve();
    };
    const stop = (): void => settle(ParleyError.from(signal?.reason, 'cancelled'));
    const off = [call.on('level', look), call.on('end', () => settle())];
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    else look();
  });
}
