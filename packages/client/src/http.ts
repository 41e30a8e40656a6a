// One HTTP exchange with the control plane: headers, deadline, retries, and errors of the one shape.

import { type ErrorCode, ParleyError, isErrorCode } from '@parley/core';

export interface HttpOptions {
  /** Where the control plane listens: `http://127.0.0.1:7700`. */
  url: string;
  /** A Parley key or a session token. It travels in the Authorization header, never in a URL. */
  key?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** How long one try may take, in milliseconds. Default 30 000. */
  timeoutMs?: number | undefined;
  /** How often a request that may be repeated is repeated. Default 2. */
  retries?: number | undefined;
  /** A server that asks for a longer pause than this gets no retry: the caller sees the error at once. Default 10 s. */
  retryAfterMaxMs?: number | undefined;
  /** Longest answer that is read. Default 32 MiB. */
  answerBytesMax?: number | undefined;
  /** Named to the server as the User-Agent; browsers send their own. */
  userAgent?: string | undefined;
}

export interface CallOptions {
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string | undefined>;
  /** A repeated request with the same key is the same request: it makes a POST safe to retry. */
  idempotencyKey?: string | undefined;
  /** A POST that changes nothing when it is sent twice. */
  repeatable?: boolean | undefined;
  /** The request goes on when the page that made it is left. */
  keepalive?: boolean | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

type Method = 'GET' | 'POST' | 'DELETE';

const BACKOFF_MIN_MS = 250;
const TIMEOUT_MS = 30_000;
const RETRIES = 2;
const RETRY_AFTER_MAX_MS = 10_000;
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;

export class Http {
  readonly origin: string;
  readonly #base: string;
  readonly #options: HttpOptions & {
    timeoutMs: number;
    retries: number;
    retryAfterMaxMs: number;
    answerBytesMax: number;
  };

  constructor(options: HttpOptions) {
    const url = httpUrl(options.url);
    this.origin = url.origin;
    this.#base = url.origin + url.pathname.replace(/\/+$/, '');
    this.#options = {
      ...options,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      retries: options.retries ?? RETRIES,
      retryAfterMaxMs: options.retryAfterMaxMs ?? RETRY_AFTER_MAX_MS,
      answerBytesMax: options.answerBytesMax ?? ANSWER_BYTES_MAX,
    };
  }

  /** Sends a request and reads the JSON answer. @throws ParleyError */
  async json<T>(method: Method, path: string, call: CallOptions = {}): Promise<T> {
    const repeatable = method === 'GET' || call.repeatable === true || call.idempotencyKey !== undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once<T>(method, path, call);
      } catch (thrown) {
        const error = ParleyError.from(thrown);
        const pause_ms = Math.max(error.retryAfterMs ?? 0, BACKOFF_MIN_MS * 2 ** attempt);
        const again = repeatable && error.retryable && attempt < this.#options.retries;
        if (!again || pause_ms > this.#options.retryAfterMaxMs) throw error;
        await pause(pause_ms, call.signal);
      }
    }
  }

  /** Opens a stream of server-sent events. The deadline covers the answer's head; the body lasts as long as it lasts. */
  async stream(path: string, call: CallOptions, method: Method = 'GET'): Promise<ReadableStream<Uint8Array>> {
    const headers = { accept: 'text/event-stream', ...call.headers };
    const head = new AbortController();
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs;
    const timer = setTimeout(() => head.abort(tooSlow(method, path, timeoutMs)), timeoutMs);
    try {
      const signal = call.signal ? AbortSignal.any([call.signal, head.signal]) : head.signal;
      const response = await this.#fetch(method, path, { ...call, headers }, signal);
      if (!response.ok) throw await this.#problem(method, path, response);
      const type = response.headers.get('content-type') ?? '';
      if (!type.startsWith('text/event-stream') || response.body === null) {
        await response.body?.cancel();
        throw new ParleyError(
          'internal',
          `${method} ${path} must answer with text/event-stream, got ${type || 'no type'}`,
        );
      }
      return response.body;
    } finally {
      clearTimeout(timer);
    }
  }

  async #once<T>(method: Method, path: string, call: CallOptions): Promise<T> {
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(tooSlow(method, path, timeoutMs)), timeoutMs);
    try {
      const signal = call.signal ? AbortSignal.any([call.signal, deadline.signal]) : deadline.signal;
      const response = await this.#fetch(method, path, call, signal);
      if (!response.ok) throw await this.#problem(method, path, response);
      const text = await this.#text(method, path, response);
      if (text === '') return {} as T;
      try {
        return JSON.parse(text) as T;
      } catch (cause) {
        throw new ParleyError('internal', `${method} ${path} must answer with JSON, got ${excerpt(text)}`, { cause });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #fetch(method: Method, path: string, call: CallOptions, signal: AbortSignal): Promise<Response> {
    const headers = new Headers();
    headers.set('accept', 'application/json');
    if (this.#options.key !== undefined) headers.set('authorization', `Bearer ${this.#options.key}`);
    if (this.#options.userAgent !== undefined) headers.set('user-agent', this.#options.userAgent);
    if (call.idempotencyKey !== undefined) headers.set('idempotency-key', call.idempotencyKey);
    for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers.set(name, value);
    const init: RequestInit = { method, headers, signal, redirect: 'error' };
    if (call.keepalive) init.keepalive = true;
    if (call.body !== undefined) {
      headers.set('content-type', 'application/json');
      init.body = JSON.stringify(call.body);
    }
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const search = query.size > 0 ? `?${query}` : '';
    try {
      return await (this.#options.fetch ?? globalThis.fetch)(this.#base + path + search, init);
    } catch (cause) {
      throw this.#networkError(cause, signal);
    }
  }

  async #text(method: Method, path: string, response: Response): Promise<string> {
    const { answerBytesMax } = this.#options;
    if (response.body === null) return '';
    const decoder = new TextDecoder();
    let text = '';
    let bytes = 0;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text + decoder.decode();
        bytes += value.byteLength;
        if (bytes > answerBytesMax) {
          await reader.cancel();
          throw new ParleyError(
            'resource_exhausted',
            `the answer to ${method} ${path} is longer than ${answerBytesMax} bytes`,
            { retryable: false },
          );
        }
        text += decoder.decode(value, { stream: true });
      }
    } catch (thrown) {
      throw thrown instanceof ParleyError ? thrown : this.#networkError(thrown, null);
    }
  }

  async #problem(method: Method, path: string, response: Response): Promise<ParleyError> {
    const request_id = response.headers.get('x-request-id') ?? undefined;
    const text = await this.#text(method, path, response).catch(() => '');
    const body = jsonOf(text);
    const read = body === undefined ? null : ParleyError.from(body, 'unknown');
    if (read && isErrorBody(body)) {
      return read.requestId === undefined && request_id !== undefined
        ? new ParleyError(read.code, read.message, { ...read.toObject(), request_id, cause: read.cause })
        : read;
    }
    const code = codeOfStatus(response.status);
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    return new ParleyError(
      code,
      `${method} ${path} answered ${response.status} without a Parley error body: ${excerpt(text)}`,
      { request_id, retry_after_ms: Number.isFinite(seconds) ? seconds * 1000 : undefined },
    );
  }

  #networkError(cause: unknown, signal: AbortSignal | null): ParleyError {
    if (signal?.aborted) return ParleyError.from(signal.reason, 'cancelled');
    const why = reasonOf(cause);
    return new ParleyError('unavailable', `no answer from ${this.origin}${why ? `: ${why}` : ''}`, { cause });
  }
}

/** Checks the address of a control plane. @throws ParleyError `invalid_argument`; the message shows no credentials. */
export function httpUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new ParleyError('invalid_argument', 'url must be an absolute http:// or https:// address', { cause });
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new ParleyError('invalid_argument', `url must start with http:// or https://, got ${parsed.protocol}//`);
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new ParleyError('invalid_argument', 'url must not hold credentials; pass them as key');
  }
  return parsed;
}

/** Waits; an abort ends the wait with its reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(ParleyError.from(signal.reason, 'cancelled'));
    const stop = (): void => {
      clearTimeout(timer);
      reject(ParleyError.from(signal?.reason, 'cancelled'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

function tooSlow(method: Method, path: string, timeoutMs: number): ParleyError {
  return new ParleyError('deadline_exceeded', `${method} ${path} had no answer within ${timeoutMs} ms`);
}

// Node hides the reason of a failed fetch in `cause`; with several addresses it is an AggregateError of them.
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return '';
  const cause = thrown.cause;
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  if (cause instanceof Error) return cause.message || cause.name;
  return thrown.message;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // A proxy's HTML page is an expected answer here; the caller words it.
    return undefined;
  }
}

function isErrorBody(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || !('error' in body)) return false;
  const { error } = body;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return false;
  // Other services answer errors of this shape too, with codes of their own.
  return isErrorCode(error.code);
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return 'an empty body';
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
}

function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 401:
      return 'unauthenticated';
    case 403:
      return 'permission_denied';
    case 404:
      return 'not_found';
    case 409:
      return 'aborted';
    case 429:
      return 'resource_exhausted';
    case 501:
      return 'unimplemented';
    case 502:
    case 503:
      return 'unavailable';
    case 504:
      return 'deadline_exceeded';
    default:
      return status >= 500 ? 'internal' : status >= 400 ? 'invalid_argument' : 'unknown';
  }
}
