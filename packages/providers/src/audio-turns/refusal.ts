// A frame that cannot be done, in the words of OpenAI Realtime: an `error` that names it, and the session goes on.

import { textIn, type Wire, type WireFrame } from '../openai/wire.ts';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: string;
  readonly param: string | null;

  constructor(code: string, message: string, param: string | null = null) {
    super(message);
    this.code = code;
    this.param = param;
  }

  /** The frame; `cause` is the one that is refused. */
  frame(cause: Wire): WireFrame {
    const { code, message, param } = this;
    const event_id = textIn(cause, 'event_id') ?? null;
    return { type: 'error', error: { type: 'invalid_request_error', code, message, param, event_id } };
  }
}
