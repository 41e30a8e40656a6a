// What Codex says about a turn that failed, as an error that a caller can act on.

import type { ErrorCode, ParleyError } from '@parley/core';
import { turnError } from '@parley/turns';
import { asObject, asText, RpcError } from './rpc.ts';

interface Meaning {
  code: ErrorCode;
  retryable?: boolean;
}

/** What is known about the variants of `codexErrorInfo`; one that is not here is `unknown` and may be tried again. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  contextWindowExceeded: { code: 'out_of_range' },
  sessionBudgetExceeded: { code: 'resource_exhausted', retryable: false },
  usageLimitExceeded: { code: 'resource_exhausted', retryable: false },
  rateLimitExceeded: { code: 'resource_exhausted' },
  responseTooManyFailedAttempts: { code: 'unavailable' },
  serverOverloaded: { code: 'unavailable' },
  flexUnavailable: { code: 'unavailable' },
  policyCapacityUnavailable: { code: 'unavailable' },
  internalServerError: { code: 'unavailable' },
  httpConnectionFailed: { code: 'unavailable' },
  responseStreamConnectionFailed: { code: 'unavailable' },
  responseStreamDisconnected: { code: 'unavailable' },
  unauthorized: { code: 'unauthenticated' },
  badRequest: { code: 'invalid_argument' },
  modelNotFound: { code: 'not_found' },
  cyberPolicy: { code: 'permission_denied' },
  misalignmentPolicyViolation: { code: 'permission_denied' },
  inferenceHookDenied: { code: 'permission_denied' },
  tooManyDenials: { code: 'permission_denied' },
  sandboxError: { code: 'failed_precondition' },
};

/** By HTTP status of the provider, which says more than the variant it came in. */
const STATUSES: Readonly<Record<number, Meaning>> = {
  400: { code: 'invalid_argument', retryable: false },
  401: { code: 'unauthenticated', retryable: false },
  403: { code: 'permission_denied', retryable: false },
  404: { code: 'not_found', retryable: false },
  429: { code: 'resource_exhausted', retryable: true },
};

const MESSAGE_CHARS_MAX = 2000;

/** The error of a turn that ended as `failed`. */
export function failedTurn(error: unknown): ParleyError {
  const { message, codexErrorInfo, additionalDetails } = asObject(error);
  const { type, status } = infoOf(codexErrorInfo);
  const found = statusIn(type, asText(message)) ?? status;
  const meaning = (found === undefined ? undefined : STATUSES[found]) ?? MEANINGS[type] ?? { code: 'unknown' };
  const words = (asText(message) ?? 'Codex gave no reason').slice(0, MESSAGE_CHARS_MAX);
  return turnError('turn_failed', `the turn failed: ${words}`, {
    code: meaning.code,
    retryable:
      meaning.retryable ??
      (meaning.code === 'unknown' || meaning.code === 'unavailable' || meaning.code === 'resource_exhausted'),
    details: {
      backend_error: {
        type,
        ...(found !== undefined && { http_status: found }),
        ...(asText(additionalDetails) !== undefined && {
          details: asText(additionalDetails)?.slice(0, MESSAGE_CHARS_MAX),
        }),
      },
    },
  });
}

/** The error of a request that Codex refused: nothing of it ran. */
export function rejected(what: string, error: unknown): ParleyError {
  if (!(error instanceof RpcError)) throw error;
  return turnError('rejected', `Codex refused ${what}: ${error.message.slice(0, MESSAGE_CHARS_MAX)}`, {
    ...(isUnknown(error) && { code: 'not_found' as const }),
    details: { backend_error: { code: error.code, ...(error.data !== undefined && { data: error.data }) } },
    cause: error,
  });
}

/** Codex does not know the conversation that a request was about. */
export function isUnknown({ message }: RpcError): boolean {
  return /not found|no rollout|unknown thread/i.test(message);
}

/** A variant is a text, or an object with one field that is its name. */
function infoOf(info: unknown): { type: string; status: number | undefined } {
  if (typeof info === 'string') return { type: info, status: undefined };
  const [type, value] = Object.entries(asObject(info))[0] ?? ['other', {}];
  const status = asObject(value)['httpStatusCode'];
  return { type, status: typeof status === 'number' ? status : undefined };
}

/** Codex has a variant for few answers: of most others it quotes the status line, and of a 400 only the body. */
function statusIn(type: string, message = ''): number | undefined {
  const found = /\bunexpected status (\d{3})\b/.exec(message)?.[1];
  if (found !== undefined) return Number(found);
  return type === 'other' && /^\s*\{\s*"error"/.test(message) ? 400 : undefined;
}
