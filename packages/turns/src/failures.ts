// Errors of turn-based agents: ParleyError like everywhere, and `details.reason` says which of twelve failures it is.

import { type AgentTurnFailureReason, type ErrorCode, ParleyError, TURN_FAILURES } from '@parley/core';

export type { AgentTurnFailureReason } from '@parley/core';

/** The code of each failure, and whether the same turn can be tried again on the same backend. */
const ROWS: Readonly<Record<AgentTurnFailureReason, { code: ErrorCode; retryable: boolean }>> = {
  invalid_argument: { code: 'invalid_argument', retryable: false },
  backend_not_started: { code: 'failed_precondition', retryable: false },
  backend_closed: { code: 'failed_precondition', retryable: false },
  // A backend is never started again: its successor is a new factory.
  backend_invalid: { code: 'unavailable', retryable: false },
  backend_start_failed: { code: 'unavailable', retryable: false },
  concurrent_turn: { code: 'aborted', retryable: true },
  timeout: { code: 'deadline_exceeded', retryable: true },
  aborted: { code: 'cancelled', retryable: false },
  interrupted: { code: 'aborted', retryable: true },
  turn_failed: { code: 'unknown', retryable: true },
  rejected: { code: 'invalid_argument', retryable: false },
  // What helps is a repair turn, not the same prompt again; that is for the caller to write.
  output_invalid: { code: 'internal', retryable: true },
};

export interface TurnErrorOptions {
  /** Where the backend knows better than the table: 401 of a provider is `unauthenticated`. */
  code?: ErrorCode | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
}

/**
 * An error of a turn-based agent.
 *
 * @example
 * throw turnError('concurrent_turn', 'a turn of this runner is running: wait for it, or make another runner');
 */
export function turnError(
  reason: AgentTurnFailureReason,
  message: string,
  options: TurnErrorOptions = {},
): ParleyError {
  const { code, retryable } = ROWS[reason];
  return new ParleyError(options.code ?? code, message, {
    retryable: options.retryable ?? retryable,
    retry_after_ms: options.retryAfterMs,
    details: { reason, ...options.details },
    cause: options.cause,
  });
}

/** Which failure of a turn-based agent an error is; null when it is none. */
export function turnFailureOf(error: unknown): AgentTurnFailureReason | null {
  if (!(error instanceof ParleyError)) return null;
  const reason = error.details?.['reason'];
  return TURN_FAILURES.find((one) => one === reason) ?? null;
}

/**
 * The text of an answer that did not fit its schema, to show it to the agent in a repair turn; null for any other error.
 *
 * @example
 * const text = invalidOutputOf(error);
 * if (text !== null) await runner.turn(`${error.message}. Answer again, with the same schema.`, { outputSchema });
 */
export function invalidOutputOf(error: unknown): string | null {
  if (turnFailureOf(error) !== 'output_invalid') return null;
  const text = (error as ParleyError).details?.['assistant_text'];
  return typeof text === 'string' ? text : null;
}
