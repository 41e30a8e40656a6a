// A request that is refused, in the shape of the host that the path belongs to.

export type Host = 'openai' | 'openrouter';

export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;

  constructor(status: number, message: string, code: string | null = null, param: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.param = param;
  }

  body(host: Host): string {
    const { status, code, message, param } = this;
    // OpenRouter repeats the status as a number; OpenAI says a name.
    if (host === 'openrouter') return JSON.stringify({ error: { message, code: status }, user_id: 'user_simulated' });
    return JSON.stringify({ error: { message, type: typeOf(status), param, code } });
  }
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}
