// Session tokens: short-lived, bound to one session. Signed by a secret of this process: sessions do not outlive it.

import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import { ParleyError } from '@parley/core';

export class SessionTokens {
  // Prepared once: making a key of bytes costs more than signing with it.
  readonly #secret = createSecretKey(randomBytes(32));

  /** A token for one session; it carries its expiry (Unix milliseconds). */
  issue(session_id: string, expires_at_ms: number): string {
    const body = `${session_id}.${expires_at_ms.toString(36)}`;
    return `pst.${body}.${this.#sign(body)}`;
  }

  /**
   * The session that a token opens.
   * @throws ParleyError `unauthenticated` when it was not issued here or is over.
   */
  verify(token: string, now_ms: number): string {
    const [prefix, session_id, expiry, signature, ...rest] = token.split('.');
    if (prefix !== 'pst' || !session_id || !expiry || !signature || rest.length > 0) throw refused('is malformed');
    const wanted = Buffer.from(this.#sign(`${session_id}.${expiry}`));
    const given = Buffer.from(signature);
    if (wanted.length !== given.length || !timingSafeEqual(wanted, given))
      throw refused('was not issued by this server');
    if (Number.parseInt(expiry, 36) <= now_ms) throw refused('has expired');
    return session_id;
  }

  #sign(body: string): string {
    return createHmac('sha256', this.#secret).update(body).digest('base64url');
  }
}

export function looksLikeSessionToken(credential: string): boolean {
  return credential.startsWith('pst.');
}

function refused(why: string): ParleyError {
  return new ParleyError('unauthenticated', `the session token ${why}`);
}
