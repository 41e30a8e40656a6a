// What lets a client into one session's call, and into nothing else.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { LaunchedSession } from '../../launcher/launched-session.ts';

export class ClientTokens {
  readonly #tokens = new WeakMap<LaunchedSession, Buffer>();

  /** The token of a session; made when it is first asked for. */
  of(session: LaunchedSession): string {
    const token = this.#tokens.get(session) ?? randomBytes(24);
    this.#tokens.set(session, token);
    return token.toString('base64url');
  }

  fits(session: LaunchedSession, given: string): boolean {
    const token = this.#tokens.get(session);
    const bytes = Buffer.from(given, 'base64url');
    return token !== undefined && bytes.length === token.length && timingSafeEqual(bytes, token);
  }
}
