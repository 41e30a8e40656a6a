// One error shape everywhere: HTTP bodies, frames, the log, and three languages. The sixteen codes are those of
// gRPC and Connect, and there are no others: what is special to a case goes into `details`.

interface CodeRow {
  /** Its number in gRPC; close codes are built from it. */
  number: number;
  /** HTTP status, as in Connect. */
  http: number;
  /** Whether trying the same thing again can help. A case may say otherwise. */
  retryable: boolean;
}

export const ERROR_CODES = {
  cancelled: { number: 1, http: 499, retryable: false },
  unknown: { number: 2, http: 500, retryable: false },
  invalid_argument: { number: 3, http: 400, retryable: false },
  deadline_exceeded: { number: 4, http: 504, retryable: true },
  not_found: { number: 5, http: 404, retryable: false },
  already_exists: { number: 6, http: 409, retryable: false },
  permission_denied: { number: 7, http: 403, retryable: false },
  resource_exhausted: { number: 8, http: 429, retryable: true },
  failed_precondition: { number: 9, http: 400, retryable: false },
  aborted: { number: 10, http: 409, retryable: true },
  out_of_range: { number: 11, http: 400, retryable: false },
  unimplemented: { number: 12, http: 501, retryable: false },
  internal: { number: 13, http: 500, retryable: false },
  unavailable: { number: 14, http: 503, retryable: true },
  data_loss: { number: 15, http: 500, retryable: false },
  unauthenticated: { number: 16, http: 401, retryable: false },
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

export const ERROR_CODE_NAMES = Object.keys(ERROR_CODES) as ErrorCode[];

/** The `error` object of an error body, as it stands on every wire. */
export interface ErrorObject {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retry_after_ms?: number | undefined;
  details?: Record<string, unknown> | undefined;
  request_id?: string | undefined;
}

export interface ErrorBody {
  error: ErrorObject;
}

export interface ErrorOptions {
  retryable?: boolean | undefined;
  /** Milliseconds to wait before another try. */
  retry_after_ms?: number | undefined;
  details?: Record<string, unknown> | undefined;
  request_id?: string | undefined;
  cause?: unknown;
}

/**
 * The one error class of Parley.
 *
 * @example
 * throw new ParleyError('resource_exhausted', 'agent support is at its limit of 10 sessions', {
 *   retry_after_ms: 2000,
 *   details: { limit: 10, current: 10 },
 * });
 */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly requestId: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.retryAfterMs = options.retry_after_ms;
    this.details = options.details;
    this.requestId = options.request_id;
  }

  /** HTTP status of this error. */
  get httpStatus(): number {
    return ERROR_CODES[this.code].http;
  }

  /** WebSocket close code of this error: `4000 + n` when retryable, `4500 + n` when not. */
  get closeCode(): number {
    return closeCodeOf(this.code, this.retryable);
  }

  /** The wire shape. */
  toBody(request_id?: string): ErrorBody {
    const error: ErrorObject = { code: this.code, message: this.message, retryable: this.retryable };
    if (this.retryAfterMs !== undefined) error.retry_after_ms = this.retryAfterMs;
    if (this.details !== undefined) error.details = this.details;
    const id = request_id ?? this.requestId;
    if (id !== undefined) error.request_id = id;
    return { error };
  }

  /** The inner object of the wire shape, as it stands in frames and in the log. */
  toObject(): ErrorObject {
    return this.toBody().error;
  }

  /**
   * Makes a ParleyError of anything: a ParleyError is returned as it is, an error body or error object is read,
   * an AbortError becomes `cancelled`, a TimeoutError `deadline_exceeded`, and the rest the fallback code.
   */
  static from(value: unknown, fallback: ErrorCode = 'unknown'): ParleyError {
    if (value instanceof ParleyError) return value;
    const object = errorObjectIn(value);
    if (object) {
      return new ParleyError(object.code, object.message, {
        retryable: object.retryable,
        retry_after_ms: object.retry_after_ms,
        details: object.details,
        request_id: object.request_id,
        cause: value,
      });
    }
    if (value instanceof Error) {
      const code: ErrorCode =
        value.name === 'AbortError' ? 'cancelled' : value.name === 'TimeoutError' ? 'deadline_exceeded' : fallback;
      return new ParleyError(code, value.message || value.name, { cause: value });
    }
    return new ParleyError(fallback, typeof value === 'string' ? value : 'unknown error', { cause: value });
  }
}

/** Close code of a WebSocket that ends with this error. */
export function closeCodeOf(code: ErrorCode, retryable: boolean = ERROR_CODES[code].retryable): number {
  return (retryable ? 4000 : 4500) + ERROR_CODES[code].number;
}

/** What a WebSocket close code says: null when it is not one of ours. */
export function errorCodeOfClose(closeCode: number): { code: ErrorCode; retryable: boolean } | null {
  const retryable = closeCode > 4000 && closeCode <= 4016;
  const fatal = closeCode > 4500 && closeCode <= 4516;
  if (!retryable && !fatal) return null;
  const number = closeCode - (retryable ? 4000 : 4500);
  const code = ERROR_CODE_NAMES.find((name) => ERROR_CODES[name].number === number);
  return code ? { code, retryable } : null;
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_CODES, value);
}

function errorObjectIn(value: unknown): ErrorObject | null {
  if (typeof value !== 'object' || value === null) return null;
  const inner = 'error' in value ? value.error : value;
  if (typeof inner !== 'object' || inner === null) return null;
  const { code, message, retryable, retry_after_ms, details, request_id } = inner as Record<string, unknown>;
  if (!isErrorCode(code) || typeof message !== 'string') return null;
  return {
    code,
    message,
    retryable: typeof retryable === 'boolean' ? retryable : ERROR_CODES[code].retryable,
    retry_after_ms: typeof retry_after_ms === 'number' && retry_after_ms >= 0 ? retry_after_ms : undefined,
    details:
      typeof details === 'object' && details !== null && !Array.isArray(details)
        ? (details as Record<string, unknown>)
        : undefined,
    request_id: typeof request_id === 'string' ? request_id : undefined,
  };
}
