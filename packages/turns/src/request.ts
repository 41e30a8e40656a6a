// A turn as it was asked for, checked in one order for every adapter: arguments first, then whether one is running.

import { checkInputSchema, FUNCTION_NAME_PATTERN, type JsonSchema, LIMITS, type ParleyError } from '@parley/core';
import { turnError } from './failures.ts';
import type { HostFunction, TurnOptions } from './runner.ts';
import { checkOutputSchema } from './structured.ts';

/** Where a caller says nothing. */
export const TURN_TIMEOUT_SECONDS = 600;
const TIMEOUT_SECONDS_MAX = 86_400;
/** Codex takes no longer one, and no model does. */
export const PROMPT_CHARS_MAX = 1_048_576;

export interface TurnRequest {
  readonly prompt: string;
  readonly timeoutMs: number;
  readonly outputSchema: JsonSchema | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: TurnOptions['onEvent'];
  readonly onProgress: TurnOptions['onProgress'];
}

/**
 * The checked request of a turn. Adapters call it before anything else.
 * @throws ParleyError `invalid_argument`; `cancelled` (reason `aborted`) when the signal is aborted already.
 */
export function turnRequest(prompt: string, options: TurnOptions = {}): TurnRequest {
  const { timeoutSeconds = TURN_TIMEOUT_SECONDS, outputSchema, signal, onEvent, onProgress } = options;
  if (!(timeoutSeconds > 0 && timeoutSeconds <= TIMEOUT_SECONDS_MAX)) {
    throw turnError(
      'invalid_argument',
      `timeoutSeconds must be above 0 and at most ${TIMEOUT_SECONDS_MAX}, got ${timeoutSeconds}`,
    );
  }
  if (typeof prompt !== 'string' || prompt.trim() === '') {
    throw turnError('invalid_argument', 'prompt must be a text with something in it');
  }
  if (prompt.length > PROMPT_CHARS_MAX) {
    throw turnError(
      'invalid_argument',
      `prompt has ${prompt.length} characters, at most ${PROMPT_CHARS_MAX} are taken`,
    );
  }
  if (outputSchema !== undefined) checkOutputSchema(outputSchema);
  if (signal?.aborted) throw abortedError(signal);
  return { prompt, timeoutMs: timeoutSeconds * 1000, outputSchema, signal, onEvent, onProgress };
}

/** The error of a turn that its caller interrupted. */
export function abortedError(signal: AbortSignal): ParleyError {
  return turnError('aborted', 'the turn was aborted by its caller', { cause: signal.reason });
}

/** @throws ParleyError `invalid_argument`. */
export function checkHostFunctions(functions: readonly HostFunction[]): void {
  if (functions.length > LIMITS.tools_max) {
    throw turnError(
      'invalid_argument',
      `a runner takes at most ${LIMITS.tools_max} functions, got ${functions.length}`,
    );
  }
  const names = new Set<string>();
  for (const { name, inputSchema } of functions) {
    if (!new RegExp(FUNCTION_NAME_PATTERN).test(name)) {
      throw turnError('invalid_argument', `the name of a function must match ${FUNCTION_NAME_PATTERN}, got '${name}'`);
    }
    if (names.has(name)) throw turnError('invalid_argument', `there are two functions '${name}'`);
    names.add(name);
    try {
      checkInputSchema(inputSchema);
    } catch (cause) {
      throw turnError('invalid_argument', `function '${name}': ${(cause as Error).message}`, { cause });
    }
  }
}
