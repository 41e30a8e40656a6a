// A call of a client that the provider terminates: `POST …/realtime/calls` with the client's offer and the whole session,
// and its end.

import { ERROR_CODES, type ErrorCode, ParleyError } from '@parley/core';
import { type HttpAnswer, post } from '../http-request.ts';
import { BOUNDARY, dialError, errorIn, providerError, type Redact } from './errors.ts';
import type { Wire } from './wire.ts';

const ANSWER_BYTES_MAX = 256 * 1024;

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'invalid_argument',
  408: 'deadline_exceeded',
  409: 'aborted',
  413: 'resource_exhausted',
  415: 'invalid_argument',
  422: 'invalid_argument',
  429: 'resource_exhausted',
  504: 'deadline_exceeded',
};

export interface CallEndpoint {
  /** `https://…/v1/realtime/calls` */
  url: URL;
  headers: Readonly<Record<string, string>>;
  ca?: string | undefined;
  timeout_ms: number;
  redact: Redact;
}

export interface CreatedCall {
  call_id: string;
  answer_sdp: string;
}

/** @throws ParleyError with `details.boundary`. */
export async function createCall(
  endpoint: CallEndpoint,
  offer_sdp: string,
  session: Wire,
  signal: AbortSignal | undefined,
): Promise<CreatedCall> {
  const boundary = `parley-${crypto.randomUUID()}`;
  const part = (name: string, type: string, content: string): string =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\nContent-Type: ${type}\r\n\r\n${content}\r\n`;
  const body = Buffer.from(
    `${part('sdp', 'application/sdp', offer_sdp)}${part('session', 'application/json', JSON.stringify(session))}--${boundary}--\r\n`,
  );
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, accept: 'application/sdp' };
  const answer = await sent(endpoint, '', headers, body, signal);
  if (answer.status < 200 || answer.status > 299) throw refusal(endpoint, answer);
  const call_id = /\/([\w.-]{1,128})\/?$/.exec((answer.headers.location ?? '').split('?')[0] ?? '')?.[1];
  if (call_id === undefined) throw strange('the provider answered an offer without naming its call');
  if (!answer.text.startsWith('v=0')) throw strange('the provider answered an offer with something that is no SDP');
  return { call_id, answer_sdp: answer.text };
}

/** Ends a call. One that is over is ended. @throws ParleyError with `details.boundary`. */
export async function hangUpCall(endpoint: CallEndpoint, call_id: string): Promise<void> {
  const answer = await sent(endpoint, `/${encodeURIComponent(call_id)}/hangup`, {}, undefined, undefined);
  if (answer.status !== 404 && (answer.status < 200 || answer.status > 299)) throw refusal(endpoint, answer);
}

async function sent(
  { url, headers, ca, timeout_ms, redact }: CallEndpoint,
  path: string,
  more: Record<string, string>,
  body: Buffer | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer> {
  const target = new URL(url);
  target.pathname += path;
  try {
    return await post({
      url: target,
      headers: { ...headers, ...more },
      body,
      ca,
      timeout_ms,
      answer_bytes_max: ANSWER_BYTES_MAX,
      signal,
    });
  } catch (caught) {
    throw dialError(ParleyError.from(caught, 'unavailable'), redact);
  }
}

function refusal({ redact }: CallEndpoint, { status, headers, text }: HttpAnswer): ParleyError {
  const byStatus = CODE_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'failed_precondition');
  const said = errorIn(text);
  const error = said ? providerError(said, redact) : null;
  // Every refusal is an `invalid_request_error`; the status says which.
  const vague = !error || error.code === 'unknown' || error.code === 'invalid_argument';
  const code = vague ? byStatus : error.code;
  const retry_s = Number(headers['retry-after'] ?? Number.NaN);
  return new ParleyError(code, error?.message ?? `the provider refused the call with HTTP ${status}`, {
    // A 400 with the name of a server error is still a request that will be refused again.
    retryable: ERROR_CODES[byStatus].retryable && (error?.retryable ?? true),
    ...(Number.isFinite(retry_s) ? { retry_after_ms: retry_s * 1000 } : {}),
    details: { ...error?.details, boundary: BOUNDARY, status },
  });
}

function strange(message: string): ParleyError {
  return new ParleyError('unavailable', message, { retryable: false, details: { boundary: BOUNDARY } });
}
