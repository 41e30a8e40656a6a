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

export interface Successor<H extends { value: string } = Handle> {
  connection: ModelConnection;
  by: 'handle' | 'replay';
  /** The handle that was taken; null: the connection knows nothing of the conversation. */
  handle: H | null;
  /** What it was told of the session. */
  options: ModelSessionOptions;
}

/** Codes with which a provider that would take the same session without a handle refuses a handle. */
const HANDLE_REFUSED: ReadonlySet<string> = new Set(['invalid_argument', 'not_found', 'failed_precondition']);

/**
 * Opens a connection that takes a conversation up by the provider's handle, or, where there is none or it is refused, one
 * that has to be told it.
 *
 * @throws ParleyError as RealtimeModel.connect.
 * @example
 * async function follow(model: RealtimeModel, old: ModelConnection, options: ModelSessionOptions, signal: AbortSignal) {
 *   const handle = old.resumeHandle === undefined ? null : { value: old.resumeHandle };
 *   const { connection, by } = await openSuccessor(model, options, handle, signal);
 *   return { connection, knows: by === 'handle' };
 * }
 */
export async function openSuccessor<H extends { value: string }>(
  model: RealtimeModel,
  options: ModelSessionOptions,
  handle: H | null,
  signal: AbortSignal,
): Promise<Successor<H>> {
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
