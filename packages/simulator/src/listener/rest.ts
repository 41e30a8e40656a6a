import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { newId } from '@parley/core';
import type { Fault } from '../faults.ts';
import { WireError } from '../session/wire-error.ts';
import { createCall } from './calls.ts';
import { bearerOf, targetOf } from './handshake.ts';
import type { Door } from './listener.ts';

// The HTTP side: client secrets and calls. Errors have the provider's JSON shape. A page may ask from anywhere, as with
// the provider.

const BODY_BYTES_MAX = 1024 * 1024;

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Location, x-request-id',
};

interface HttpError {
  message: string;
  type?: string;
  code?: string | null;
  param?: string | null;
}

/** What answers a path. It throws the error of a bad request. */
type Handler = (asked: Asked) => Promise<void> | void;

interface Asked {
  request: IncomingMessage;
  response: ServerResponse;
  door: Door;
  url: URL;
  key: string;
}

/** The noise that real answers carry, so that clients do not depend on its absence. */
export function noiseHeaders(): Record<string, string> {
  return { 'x-request-id': newId('request'), 'openai-version': '2020-10-01', 'openai-processing-ms': '3' };
}

export function errorBody({ message, type = 'invalid_request_error', code = null, param = null }: HttpError): string {
  return JSON.stringify({ error: { message, type, param, code } });
}

/** The body of a fault that is an HTTP status. */
export function faultBody(fault: Fault & { kind: 'status' }): string {
  if (typeof fault.body === 'string') return fault.body;
  if (fault.body !== undefined) return JSON.stringify(fault.body);
  const limited = fault.status === 429;
  return errorBody({
    message: limited ? 'Rate limit reached. Please try again later.' : (STATUS_CODES[fault.status] ?? 'Error'),
    type: limited ? 'rate_limit_error' : fault.status >= 500 ? 'server_error' : 'invalid_request_error',
    code: limited ? 'rate_limit_exceeded' : null,
  });
}

/** Answers a plain HTTP request. */
export function rest(request: IncomingMessage, response: ServerResponse, door: Door): void {
  const url = targetOf(request);
  const handler = handlerOf(url.pathname);
  if (!handler) return send(response, 404, errorBody({ message: `Invalid URL (${request.method} ${url.pathname})` }));
  if (request.method === 'OPTIONS') return preflight(response);
  if (request.method !== 'POST') {
    return send(response, 405, errorBody({ message: `Not allowed to ${request.method} on ${url.pathname}.` }));
  }
  const key = bearerOf(request);
  const refusal = refusalOf(key, handler, door);
  if (key === null || refusal) return send(response, 401, errorBody(refusal ?? { message: '' }));
  Promise.resolve(handler({ request, response, door, url, key })).catch((error: unknown) => {
    if (error instanceof WireError) return send(response, error.code === 'too_long' ? 413 : 400, errorBody(error));
    send(response, 500, errorBody({ message: `The server had an error: ${String(error)}`, type: 'server_error' }));
  });
}

/** Azure has the same paths below one of its own. */
function handlerOf(pathname: string): Handler | null {
  const path = pathname.replace(/^\/openai(?=\/v1\/)/u, '');
  if (path === '/v1/realtime/client_secrets') return clientSecrets;
  if (path === '/v1/realtime/calls') return calls;
  if (/^\/{1,2}v1(?:alpha|beta)\/auth_tokens$/u.test(path)) return authTokens;
  return /^\/v1\/realtime\/calls\/[^/]+\/hangup$/u.test(path) ? hangup : null;
}

/** Client secrets are made and calls are hung up with an API key; a call may be made with a secret, too. */
function refusalOf(key: string | null, handler: Handler, { access }: Door): HttpError | null {
  if (key === null) return { message: 'Missing bearer authentication in header' };
  if (handler === calls && access.findSecret(key)) return null;
  if (!key.startsWith('ek_') && access.isKey(key)) return null;
  return { message: `Incorrect API key provided: ${key.slice(0, 3)}***.`, code: 'invalid_api_key' };
}

function preflight(response: ServerResponse): void {
  response.writeHead(204, {
    ...CORS,
    'access-control-allow-methods': 'POST, OPTIONS',
    'access-control-allow-headers': '*, authorization',
    'access-control-max-age': '600',
  });
  response.end();
}

async function clientSecrets({ request, response, door }: Asked): Promise<void> {
  const value = jsonOf(await readBody(request));
  send(response, 200, JSON.stringify(door.secrets.create(value)));
}

async function authTokens({ request, response, door }: Asked): Promise<void> {
  send(response, 200, JSON.stringify(door.tokens.create(jsonOf(await readBody(request)))));
}

function jsonOf(body: Buffer): unknown {
  const text = body.toString();
  try {
    return text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    throw new WireError(null, 'We could not parse the JSON body of your request.');
  }
}

async function calls({ request, response, door, url, key }: Asked): Promise<void> {
  const body = await readBody(request);
  const secret = door.access.findSecret(key);
  const fault = door.faults.take('call', { model: secret?.model });
  if (fault?.kind === 'drop') return void request.socket.destroy();
  if (fault?.kind === 'stall') return;
  if (fault?.kind === 'status') return send(response, fault.status, faultBody(fault), fault.headers);
  if (fault?.kind === 'delay') await new Promise<void>((resolve) => void door.clock.after(fault.ms, resolve));
  if (!door.hasRoom()) {
    const message = 'The simulator is at its limit of sessions.';
    return send(response, 503, errorBody({ message, type: 'server_error' }));
  }
  const contentType = request.headers['content-type'] ?? '';
  const asked = { contentType, body, model: url.searchParams.get('model'), secret };
  const { answer, location } = await createCall(asked, door.access, door.calls, door.expiresAt());
  response.writeHead(201, { 'content-type': 'application/sdp', location, ...CORS, ...noiseHeaders() });
  response.end(answer);
}

function hangup({ response, door, url }: Asked): void {
  const call = door.calls.find(url.pathname.split('/').at(-2) ?? '');
  if (!call) {
    const error = { message: 'No session found for the provided call_id', code: 'call_id_not_found', param: '' };
    return send(response, 404, errorBody(error));
  }
  call.hangUp();
  response.writeHead(200, { ...CORS, ...noiseHeaders() });
  response.end();
}

function send(response: ServerResponse, status: number, body: string, more: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...CORS, ...noiseHeaders(), ...more });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_BYTES_MAX) throw new WireError('too_long', `The body is longer than ${BODY_BYTES_MAX} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
