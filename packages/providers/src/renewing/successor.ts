// The connection that is to follow: opened by the provider's handle where there is one, without it where the handle is
// not taken.

import { ParleyError } from '@parley/core';
import type { ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';

/** A handle of the provider, and the version of the history that it stands for. */
export interface Handle {
  value: string;
  version: number;
  /** Turns and answers whose words had not all come when it was there. */
  covers: ReadonlySet<string>;
}

export interface Successor {
  connection: ModelConnection;
  by: 'handle' | 'replay';
  /** The handle that was taken. */
  handle: Handle | null;
  /** What it was told of the session. */
  options: ModelSessionOptions;
}

/** Codes with which a provider that would take the same session without a handle refuses a handle. */
const HANDLE_REFUSED: ReadonlySet<string> = new Set(['invalid_argument', 'not_found', 'failed_precondition']);

/** @throws ParleyError as RealtimeModel.connect. */
export async function openSuccessor(
  model: RealtimeModel,
  options: ModelSessionOptions,
  handle: Handle | null,
  signal: AbortSignal,
): Promise<Successor> {
  if (handle) {
    try {
      const connection = await model.connect({ ...options, resume_handle: handle.value, signal });
      return { connection, by: 'handle', handle, options };
    } catch (caught) {
      // It has expired, or was never good: the history is told instead.
      if (!HANDLE_REFUSED.has(ParleyError.from(caught).code)) throw caught;
    }
  }
  const connection = await model.connect({ ...options, resume_handle: undefined, signal });
  return { connection, by: 'replay', handle: null, options };
}
