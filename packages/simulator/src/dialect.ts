// Another wire than OpenAI Realtime's. The session behind it is the same.

import type { ClientEvent, ServerEvent, Wire } from './wire.ts';

export interface Dialect {
  /** A client's event in OpenAI's names. */
  in<T extends ClientEvent>(event: T): T;
  /** What is sent in place of an event: itself, others, or nothing. */
  out(event: ServerEvent): Wire[];
  /** What is sent in place of a delta of sound (base64), where it is not OpenAI's. */
  sound?(delta: string): Wire;
}
