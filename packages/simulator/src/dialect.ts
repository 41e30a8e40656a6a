// A wire that has OpenAI Realtime's shape and other names. The session behind it is the same.

import type { ClientEvent, ServerEvent } from './wire.ts';

export interface Dialect {
  /** A client's event in OpenAI's names. */
  in<T extends ClientEvent>(event: T): T;
  /** What is sent in place of an event: itself, others, or nothing. */
  out(event: ServerEvent): ServerEvent[];
}
