// The client's end of a WebSocket handshake. Every way in which it can end badly is a ParleyError that names the host
// and never the headers: keys travel there.

import type { IncomingMessage } from 'node:http';
import { getCACertificates } from 'node:tls';
import { type ErrorCode, ParleyError } from '@parley/core';
import { WebSocket } from 'ws';
import type { FrameSocket } from './frame-socket.ts';
import { acceptFrameSocket, FRAME_SOCKET_DEFAULTS, type FrameSocketOptions } from './frame-socket-ws.ts';

export interface DialOptions extends FrameSocketOptions {
  headers?: Readonly<Record<string, string>> | undefined;
  protocols?: readonly string[] | undefined;
  /** PEM of an authority to trust besides the system's. */
  ca?: string | undefined;
  /** Until the handshake is done. Default 10 s. */
  handshakeTimeoutMs?: number | undefined;
  /** Aborts the dialling, not the connection. */
  signal?: AbortSignal | undefined;
}

const BODY_EXCERPT_BYTES = 512;

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'not_found',
  408: 'deadline_exceeded',
  409: 'aborted',
  413: 'resource_exhausted',
  429: 'resource_exhausted',
  501: 'unimplemented',
  504: 'deadline_exceeded',
};

/**
 * Opens a WebSocket. Reading begins with `onFrame`.
 *
 * @throws ParleyError `invalid_argument` (not a ws: or wss: URL), `unauthenticated`, `permission_denied`, `not_found`,
 * `resource_exhausted` (with `retry_after_ms` when the server said so), `unavailable` (refused, cut, unknown host, 5xx),
 * `deadline_exceeded`, `cancelled` (the signal). `details.status` is the HTTP status where there was one.
 */
export function dialFrameSocket(url: string, options: DialOptions = {}): Promise<FrameSocket> {
  const target = URL.parse(url);
  if (!target || (target.protocol !== 'ws:' && target.protocol !== 'wss:')) {
    const got = target ? target.protocol : 'something that is no URL';
    return Promise.reject(new ParleyError('invalid_argument', `url must start with ws:// or wss://, got ${got}`));
  }
  if (options.signal?.aborted) return Promise.reject(aborted(target.host));
  const timeoutMs = options.handshakeTimeoutMs ?? 10_000;
  const { promise, resolve, reject } = Promise.withResolvers<FrameSocket>();
  const ws = new WebSocket(target, [...(options.protocols ?? [])], {
    headers: { ...options.headers },
    perMessageDeflate: false,
    maxPayload: options.maxFrameBytes ?? FRAME_SOCKET_DEFAULTS.maxFrameBytes,
    ...(options.ca === undefined ? {} : { ca: [...getCACertificates('default'), options.ca] }),
  });
  const fail = (error: ParleyError): void => {
    settle();
    ws.on('error', ignoreLate);
    ws.terminate();
    reject(error);
  };
  const timer = setTimeout(() => {
    fail(new ParleyError('deadline_exceeded', `${target.host} did not complete the handshake within ${timeoutMs} ms`));
  }, timeoutMs);
  const onAbort = (): void => fail(aborted(target.host));
  const onError = (error: Error): void => fail(unreachable(target.host, error));
  const onRefused = (_: unknown, response: IncomingMessage): void => {
    readExcerpt(response, options.headers).then((body) => fail(refused(target.host, response, body)), onError);
  };
  const settle = (): void => {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
    ws.off('error', onError);
    ws.off('unexpected-response', onRefused);
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  ws.on('error', onError);
  ws.on('unexpected-response', onRefused);
  ws.once('open', () => {
    settle();
    resolve(acceptFrameSocket(ws, options));
  });
  return promise;
}

// A failed dial has one outcome; `ws` reports our own `terminate` as one more error.
function ignoreLate(): void {}

function aborted(host: string): ParleyError {
  return new ParleyError('cancelled', `dialling ${host} was aborted`);
}

function unreachable(host: string, error: Error): ParleyError {
  const system = 'code' in error ? String(error.code) : undefined;
  const why = system ?? error.message;
  return new ParleyError('unavailable', `${host} could not be reached: ${why}`, {
    // A certificate or a protocol that is wrong now is wrong in a second.
    retryable: !(system !== undefined && /CERT|SIGNED|SSL|TLS|WS_ERR/.test(system)),
    details: system === undefined ? {} : { system_code: system },
    cause: error,
  });
}

function refused(host: string, response: IncomingMessage, body: string): ParleyError {
  const status = response.statusCode ?? 0;
  const code = CODE_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'failed_precondition');
  return new ParleyError(code, `${host} answered the handshake with HTTP ${status}`, {
    retry_after_ms: retryAfter(response.headers['retry-after']),
    details: { status, ...(body === '' ? {} : { body }) },
  });
}

/** `Retry-After` in milliseconds: seconds or an HTTP date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** The first bytes of the answer, without anything that was in our headers. */
async function readExcerpt(response: IncomingMessage, headers: DialOptions['headers']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= BODY_EXCERPT_BYTES) break;
  }
  let excerpt = Buffer.concat(chunks).subarray(0, BODY_EXCERPT_BYTES).toString();
  for (const value of Object.values(headers ?? {})) {
    for (const secret of [value, value.replace(/^Bearer /i, '')]) {
      if (secret.length >= 6) excerpt = excerpt.replaceAll(secret, '…');
    }
  }
  // Providers quote a part of a wrong key.
  return excerpt.replace(/\b(?:sk|ek|pk)[-_][\w*-]{4,}/g, '…');
}
