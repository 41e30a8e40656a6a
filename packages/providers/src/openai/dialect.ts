// Where a provider that speaks OpenAI Realtime differs from OpenAI. Everything that is not said here is the same.

import type { FrameSocket } from '@parley/transport';
import type { Wire } from './wire.ts';

export interface Dialect {
  /** The name of its capability row. */
  readonly provider: string;
  /** Headers that carry the key. */
  readonly keyHeaders: (key: string) => Record<string, string>;
  /** Headers that name the end user, hashed, to the provider's safety systems. */
  readonly safetyHeaders?: (safety_id: string) => Record<string, string>;
  /** The session, or a patch of it, as this provider wants it, of the one that OpenAI gets. */
  readonly session?: (session: Wire) => Wire;
  /**
   * How it is told a tool call of another connection, with its output: as the two items that they are, or as a text
   * where it takes no calls that it did not make (`told-calls.ts`).
   */
  readonly callsAre: 'items' | 'text';
  /** Frames in OpenAI's names over a socket that speaks the provider's. */
  readonly socket?: (socket: FrameSocket) => FrameSocket;
}

export const bearer = (key: string): Record<string, string> => ({ Authorization: `Bearer ${key}` });

export const OPENAI: Dialect = {
  provider: 'openai',
  callsAre: 'items',
  keyHeaders: bearer,
  safetyHeaders: (safety_id) => ({ 'OpenAI-Safety-Identifier': safety_id }),
};
