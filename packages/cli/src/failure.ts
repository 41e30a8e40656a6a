// How a command that failed says so, and with which exit code.

import { ParleyError } from '@parley/client';
import { turnFailureOf } from '@parley/turns';
import { plain } from './output.ts';

/** Turns that ran and came to nothing: nobody's input, and everybody was reached. */
const FRUITLESS: ReadonlySet<string | null> = new Set(['timeout', 'aborted', 'interrupted', 'output_invalid']);

/** 0: done. 1: anything else. 2: bad input, or refused as such (4xx). 3: unreachable or not allowed (network, 401, 403, 5xx). */
export type ExitCode = 0 | 1 | 2 | 3;

/** The exit code of an error. */
export function exitCodeOf(thrown: unknown): ExitCode {
  // A mistake of this program is nobody's input and nobody's server.
  if (!(thrown instanceof ParleyError) || thrown.code === 'cancelled') return 1;
  if (FRUITLESS.has(turnFailureOf(thrown))) return 1;
  const status = thrown.httpStatus;
  if (status === 401 || status === 403 || status >= 500) return 3;
  return 2;
}

/** The lines that a person reads: what happened, and what to do about it. */
export function describeFailure(thrown: unknown, url: string): string {
  const error = ParleyError.from(thrown, 'internal');
  const hint = hintOf(error, url);
  const request = error.requestId === undefined ? '' : ` (${error.requestId})`;
  return `${plain(`parley: ${error.code}: ${error.message}${request}`)}\n${hint === null ? '' : `  ${hint}\n`}`;
}

function hintOf(error: ParleyError, url: string): string | null {
  switch (error.code) {
    case 'unavailable':
      return error.message.startsWith('no answer from')
        ? `Is a control plane running there? Start one with: parley serve${url.includes('127.0.0.1') ? '' : ` (address from --url or PARLEY_URL: ${url})`}`
        : null;
    case 'unauthenticated':
      return 'Give a key with PARLEY_KEY or --key-file.';
    case 'resource_exhausted':
      return error.retryAfterMs === undefined ? null : `Try again in ${Math.ceil(error.retryAfterMs / 1000)} s.`;
    default:
      return null;
  }
}
