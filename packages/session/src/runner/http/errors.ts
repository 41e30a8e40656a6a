// Every refusal has the one shape, with the status of its code.

import { ERROR_CODES, ParleyError } from '@parley/core';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Answers with an error; `Retry-After` is in whole seconds, as HTTP has it. */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = ofHttp(thrown);
  if (error.retryAfterMs !== undefined) reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
  if (error.code === 'internal' || error.code === 'unknown') request.log.error({ err: thrown }, 'request failed');
  void reply.code(ERROR_CODES[error.code].http).send({ error: { ...error.toObject(), request_id: request.id } });
}

/** What the router and the parser throw says its status; the rest says its code. */
function ofHttp(thrown: unknown): ParleyError {
  if (thrown instanceof ParleyError) return thrown;
  const { statusCode, message } = (thrown ?? {}) as { statusCode?: number; message?: string };
  if (statusCode === 401) return new ParleyError('unauthenticated', message ?? 'who are you?');
  if (statusCode === 403) return new ParleyError('permission_denied', message ?? 'not allowed');
  if (statusCode === 404) return new ParleyError('not_found', message ?? 'not found');
  if (statusCode === 413) return new ParleyError('resource_exhausted', 'the body is too long', { retryable: false });
  if (statusCode !== undefined && statusCode < 500)
    return new ParleyError('invalid_argument', message ?? 'bad request');
  return ParleyError.from(thrown, 'internal');
}
