import type { IncomingMessage, ServerResponse } from 'node:http';
import { newId } from '@parley/core';
import { WireError } from '../session/wire-error.ts';
import type { ClientSecrets } from './client-secrets.ts';
import { bearerOf, targetOf } from './handshake.ts';

// The HTTP side: client secrets. Errors have the provider's JSON shape.

const BODY_BYTES_MAX = 1024 * 1024;

interface HttpError {
  message: string;
  type?: string;
  code?: string | null;
  param?: string | null;
}

/** The noise that real answers carry, so that clients do not depend on its absence. */
export function noiseHeaders(): Record<string, string> {
  return { 'x-request-id': newId('request'), 'openai-version': '2020-10-01', 'openai-processing-ms': '3' };
}

export function errorBody({ message, type = 'invalid_request_error', code = null, param = null }: HttpError): string {
  return JSON.stringify({ error: { message, type, param, code } });
}

/** Answers a plain HTTP request. */
export function rest(
  request: IncomingMessage,
  response: ServerResponse,
  secrets: ClientSecrets,
  isKey: (key: string) => boolean,
): void {
  const path = targetOf(request).pathname;
  if (path !== '/v1/realtime/client_secrets') {
    return send(response, 404, errorBody({ message: `Invalid URL (${request.method} ${path})` }));
  }
  if (request.method !== 'POST') {
    return send(response, 405, errorBody({ message: `Not allowed to ${request.method} on ${path}.` }));
  }
  const key = bearerOf(request);
  if (key === null || !isKey(key)) {
    const message =
      key === null ? 'Missing bearer authentication in header' : `Incorrect API key provided: ${key.slice(0, 3)}***.`;
    return send(response, 401, errorBody({ message, code: key === null ? null : 'invalid_api_key' }));
  }
  readBody(request).then(
    (body) => answer(response, body, secrets),
    (error: unknown) => {
      const status = error instanceof WireError ? 413 : 400;
      send(response, status, errorBody({ message: error instanceof Error ? error.message : String(error) }));
    },
  );
}

function answer(response: ServerResponse, body: string, secrets: ClientSecrets): void {
  let value: unknown;
  try {
    value = body.trim() === '' ? {} : JSON.parse(body);
  } catch {
    return send(response, 400, errorBody({ message: 'We could not parse the JSON body of your request.' }));
  }
  try {
    send(response, 200, JSON.stringify(secrets.create(value)));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    send(response, 400, errorBody(error));
  }
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json', ...noiseHeaders() });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_BYTES_MAX) throw new WireError('invalid_value', `The body is longer than ${BODY_BYTES_MAX} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
