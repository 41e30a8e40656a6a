// The provider's errors in our codes. Messages are kept short and never hold what a client may not see.

import { closeCodeOf, type ErrorCode, type ErrorObject, ERROR_CODES, ParleyError } from '@parley/core';
import type { FrameClose } from '@parley/transport';
import { isObject, numberIn, textIn, type Wire } from './wire.ts';

export const BOUNDARY = 'parley -> provider';
const MESSAGE_CHARS_MAX = 300;

const CODE_OF: Readonly<Record<string, ErrorCode>> = {
  invalid_api_key: 'unauthenticated',
  account_deactivated: 'permission_denied',
  insufficient_quota: 'resource_exhausted',
  billing_hard_limit_reached: 'resource_exhausted',
  credit_balance_exhausted: 'resource_exhausted',
  rate_limit_exceeded: 'resource_exhausted',
  session_expired: 'deadline_exceeded',
  conversation_already_has_active_response: 'failed_precondition',
  response_cancel_not_active: 'failed_precondition',
  input_audio_buffer_commit_empty: 'failed_precondition',
  item_retrieve_invalid_item_id: 'not_found',
  model_not_found: 'invalid_argument',
  beta_api_shape_disabled: 'failed_precondition',
  rate_limit_error: 'resource_exhausted',
  authentication_error: 'unauthenticated',
  billing_error: 'resource_exhausted',
  timeout_error: 'deadline_exceeded',
  connection_error: 'unavailable',
  certificate_not_trusted: 'unavailable',
  permission_error: 'permission_denied',
  invalid_request_error: 'invalid_argument',
  server_error: 'unavailable',
};

/** Codes that stay true however often one tries. */
const LASTING = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'credit_balance_exhausted',
  'billing_error',
  'certificate_not_trusted',
]);

/** Takes secrets out of a provider's words. */
export type Redact = (text: string) => string;

/** A redactor for the key and the instructions of one connection; providers quote both. */
export function redactor(key: string | undefined, instructions: string | undefined): Redact {
  const opening = instructions?.slice(0, 24) ?? '';
  return (text) => {
    let clean = key !== undefined && key.length >= 6 ? text.replaceAll(key, '…') : text;
    clean = clean.replace(/\b(?:sk|ek|pk)[-_][\w*-]{4,}/g, '…');
    const quoted = opening.length >= 8 ? clean.indexOf(opening) : -1;
    if (quoted >= 0) clean = `${clean.slice(0, quoted)}…`;
    return clean.length > MESSAGE_CHARS_MAX ? `${clean.slice(0, MESSAGE_CHARS_MAX)}…` : clean;
  };
}

/** The `error` object of an error event or of a failed response. */
export function providerError(error: Wire, redact: Redact): ErrorObject {
  const provider_code = textIn(error, 'code') ?? textIn(error, 'type') ?? 'unknown';
  const code = CODE_OF[provider_code] ?? CODE_OF[textIn(error, 'type') ?? ''] ?? 'unknown';
  const param = textIn(error, 'param');
  const status = numberIn(error, 'status');
  const retry_after_ms = numberIn(error, 'retry_after_ms');
  const lasting = LASTING.has(provider_code) || LASTING.has(textIn(error, 'type') ?? '');
  const provider_message = redact(textIn(error, 'message') ?? '');
  return {
    code,
    message: provider_message === '' ? `the provider failed with ${provider_code}` : provider_message,
    retryable: ERROR_CODES[code].retryable && !lasting,
    ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
    details: {
      boundary: BOUNDARY,
      provider_code,
      ...(provider_message === '' ? {} : { provider_message }),
      ...(param === undefined ? {} : { param }),
      ...(status === undefined ? {} : { status }),
    },
  };
}

/** Whether connecting again can help after the provider ended a connection so. */
export function isRecoverable(close: FrameClose, error: ErrorObject | undefined): boolean {
  // 3000 is a refused key, 4000 the retired protocol, 1000 and 1008 the provider's own decision, 1009 our frame.
  if ([1000, 1002, 1003, 1007, 1008, 1009, 3000, 4000].includes(close.code)) return false;
  // A session that came to its hour may be followed by another one.
  if (close.code === 1001) return true;
  return error?.retryable ?? close.code !== closeCodeOf('resource_exhausted', false);
}

/** Why a connection ended, from its close code and whatever error the provider sent before. */
export function closeError(close: FrameClose, last: ErrorObject | undefined, redact: Redact): ErrorObject {
  const provider_message = redact(close.reason);
  const details = {
    boundary: BOUNDARY,
    close_code: close.code,
    ...(provider_message === '' ? {} : { provider_message }),
  };
  if (last) return { ...last, details: { ...details, ...last.details } };
  const code: ErrorCode =
    close.code === 3000
      ? 'unauthenticated'
      : close.code === 4000
        ? 'failed_precondition'
        : close.code === closeCodeOf('resource_exhausted')
          ? 'resource_exhausted'
          : 'unavailable';
  const why = provider_message === '' ? '' : `: ${provider_message}`;
  return {
    code,
    message: `the provider ended the connection with ${close.code}${why}`,
    retryable: isRecoverable(close, undefined),
    details,
  };
}

/** A failed dial, as what it is at the boundary to the provider, with what the provider said of it. */
export function dialError(error: ParleyError, redact: Redact = (text) => text): ParleyError {
  // No such path or model: nothing that a session could wait for.
  const code = error.code === 'not_found' ? 'invalid_argument' : error.code;
  const { body, ...details } = error.details ?? {};
  const said = typeof body === 'string' ? saidIn(body, redact) : {};
  return new ParleyError(code, error.message, {
    retryable: error.retryable && !LASTING.has(said.provider_code ?? ''),
    retry_after_ms: error.retryAfterMs,
    details: { ...details, ...said, boundary: BOUNDARY },
    cause: error,
  });
}

/** The provider's code and words in the body of a refusal: an `error` in OpenAI's shape or in Google's, or a text. */
function saidIn(body: string, redact: Redact): { provider_code?: string; provider_message?: string } {
  const error = errorIn(body);
  if (!error) return body.trim() === '' ? {} : { provider_message: redact(body.trim()) };
  const provider_code = textIn(error, 'code') ?? textIn(error, 'status') ?? textIn(error, 'type');
  const message = textIn(error, 'message');
  return {
    ...(provider_code === undefined ? {} : { provider_code }),
    ...(message === undefined ? {} : { provider_message: redact(message) }),
  };
}

/** The `error` of a body that is JSON. */
export function errorIn(body: string): Wire | null {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) && isObject(value['error']) ? value['error'] : null;
  } catch {
    // Not JSON, or cut off: its status says what there is to say.
    return null;
  }
}
