import type { ServerEvent } from '../wire.ts';

/** An error event that the client caused: the session goes on after it. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;

  constructor(code: string | null, message: string, param: string | null = null, type = 'invalid_request_error') {
    super(message);
    this.type = type;
    this.code = code;
    this.param = param;
  }

  static internal(cause: unknown): WireError {
    const message = `The server had an error while processing your request: ${String(cause)}`;
    return new WireError('server_error', message, null, 'server_error');
  }

  static rateLimit(): WireError {
    const message = 'Rate limit reached for this model. Please try again in 20s.';
    return new WireError('rate_limit_exceeded', message, null, 'rate_limit_error');
  }

  /** The event, without its id; `clientEventId` is the id of the client event that caused it. */
  toEvent(clientEventId: string | null): ServerEvent {
    const { type, code, message, param } = this;
    return { type: 'error', error: { type, code, message, param, event_id: clientEventId } };
  }
}

export function missing(param: string): WireError {
  return new WireError('missing_required_parameter', `Missing required parameter: '${param}'.`, param);
}

export function unknownParameter(param: string): WireError {
  return new WireError('unknown_parameter', `Unknown parameter: '${param}'.`, param);
}

/** `expected` completes "Expected …". */
export function invalid(param: string, got: unknown, expected: string): WireError {
  const shown = JSON.stringify(got)?.slice(0, 80) ?? 'nothing';
  return new WireError('invalid_value', `Invalid value for '${param}': ${shown}. Expected ${expected}.`, param);
}
