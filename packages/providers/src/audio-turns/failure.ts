// What goes wrong at the provider, in the words of OpenAI Realtime: the peer that speaks them is in this process, and
// what it says is put into our codes where all of that protocol's errors are.

import { ParleyError } from '@parley/core';
import { isObject, numberIn, objectIn, textIn, type Wire } from '../openai/wire.ts';

/** The `error` of a failed response, or of an error event. */
export interface WireFailure extends Wire {
  type: string;
  code: string | null;
  message: string;
  status?: number;
  retry_after_ms?: number;
}

/** Failures that asking again does not mend, whatever their status says. */
const LASTING: ReadonlySet<string> = new Set(['insufficient_quota', 'certificate_not_trusted']);

/** A request that came to nothing. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly wire: WireFailure;

  constructor(
    type: string,
    message: string,
    more: { code?: string | null; status?: number; retry_after_ms?: number } = {},
  ) {
    super(message);
    const { code = null, ...rest } = more;
    this.wire = { type, code, message, ...rest };
  }

  static of(caught: unknown): Failure {
    if (caught instanceof Failure) return caught;
    const { code, message } = ParleyError.from(caught, 'internal');
    return new Failure('server_error', message, { code });
  }

  /** The same in words that may be shown: hosts quote keys and instructions. */
  redacted(redact: (text: string) => string): Failure {
    const { type, message, ...more } = this.wire;
    return new Failure(type, redact(message), more);
  }

  /** Whether asking again, at once or a little later, may go better. Nothing was generated yet. */
  get passing(): boolean {
    const { status } = this.wire;
    if (LASTING.has(this.wire.code ?? '')) return false;
    return status === undefined ? this.wire.type === 'connection_error' : [429, 502, 503].includes(status);
  }

  /** No other request of this session can succeed either. */
  get fatal(): boolean {
    return this.wire.type === 'authentication_error' || this.wire.type === 'permission_error';
  }
}

/** A status that is not 2xx, with the body and the hint that came with it. */
export function failureOfStatus(status: number, body: string, retry_after: string | undefined): Failure {
  const error = objectIn(parsed(body), 'error');
  const retry_after_ms = retryAfterMs(retry_after);
  return new Failure(typeOf(status), textIn(error, 'message') ?? `the provider answered with ${status}`, {
    code: textIn(error, 'code') ?? null,
    status,
    ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
  });
}

/** A chunk with an `error`: the stream began well and ends here. The code is a status, a name, or both are missing. */
export function failureOfChunk(error: Wire): Failure {
  const status = numberIn(error, 'code') ?? 500;
  return new Failure(typeOf(status), textIn(error, 'message') ?? 'the provider broke the answer off', {
    code: textIn(error, 'code') ?? null,
    status,
  });
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 402) return 'billing_error';
  if (status === 403) return 'permission_error';
  if (status === 408 || status === 504) return 'timeout_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 400 && status < 500 ? 'invalid_request_error' : 'server_error';
}

function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, Math.round(ms)) : undefined;
}

function parsed(body: string): Wire {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : {};
  } catch {
    // A proxy in between answers in its own words, which say nothing that the status does not.
    return {};
  }
}
