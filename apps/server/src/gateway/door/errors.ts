// Our errors in OpenAI's shape: what its clients parse, retry by, and show.

import { type ErrorCode, newId, type ParleyError } from '@parley/core';

export interface OpenAIError {
  message: string;
  type: string;
  code: string | null;
  param: string | null;
}

/** Names that OpenAI's clients know. A code that has none there keeps ours. */
const CODES: Partial<Record<ErrorCode, { type: string; code: string }>> = {
  unauthenticated: { type: 'invalid_request_error', code: 'invalid_api_key' },
  invalid_argument: { type: 'invalid_request_error', code: 'invalid_value' },
  resource_exhausted: { type: 'rate_limit_error', code: 'rate_limit_exceeded' },
};
const OF_THE_SERVER: ReadonlySet<ErrorCode> = new Set(['internal', 'unknown', 'unavailable', 'data_loss', 'aborted']);

/** An error as OpenAI would say it. `details.openai_code` names one that only the door knows. */
export function openAIError(error: ParleyError): OpenAIError {
  const { openai_code, path } = error.details ?? {};
  const known = CODES[error.code] ?? {
    type: OF_THE_SERVER.has(error.code) ? 'server_error' : 'invalid_request_error',
    code: error.code,
  };
  return {
    message: error.message,
    type: known.type,
    code: openai_code === null || typeof openai_code === 'string' ? openai_code : known.code,
    param: typeof path === 'string' ? path : null,
  };
}

/** The body of an HTTP answer. */
export function openAIBody(error: ParleyError): { error: OpenAIError } {
  return { error: openAIError(error) };
}

/** The `error` event of a socket. The session stays open unless a close follows. */
export function errorEvent(error: OpenAIError, event_id: string | null = null): string {
  return JSON.stringify({ type: 'error', event_id: newId('event'), error: { ...error, event_id } });
}

/** What the door describes of an error to OpenAPI. */
export const ERROR_SCHEMA = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'code', 'param'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        code: { type: ['string', 'null'] },
        param: { type: ['string', 'null'] },
      },
    },
  },
};
