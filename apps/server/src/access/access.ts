// Who is asking, and may they? Decided once for each request and each socket, at the edge.

import type { IncomingHttpHeaders } from 'node:http';
import { ParleyError, TOKEN_SUBPROTOCOL_PREFIX } from '@parley/core';
import { isLoopback } from '../config.ts';
import { type ClientSecret, type ClientSecrets, looksLikeClientSecret } from './client-secrets.ts';
import { grants, type Keys, type Scope } from './keys.ts';
import { looksLikeSessionToken, type SessionTokens } from './tokens.ts';

export interface Principal {
  /** `anonymous` on an open loopback server, a key's id, or the session of a token. */
  id: string;
  scopes: readonly string[];
  /** Set when a session token was presented: it opens this session and no other. */
  session_id?: string;
  /** Set when a client secret was presented: it opens calls of its target and nothing else. */
  client_secret?: ClientSecret;
}

const ANONYMOUS: Principal = { id: 'anonymous', scopes: ['admin'] };

export class Access {
  readonly #keys: Keys;
  readonly #tokens: SessionTokens;
  readonly #secrets: ClientSecrets;
  readonly #origins: ReadonlySet<string>;

  constructor(keys: Keys, tokens: SessionTokens, secrets: ClientSecrets, allowed_origins: readonly string[]) {
    this.#keys = keys;
    this.#tokens = tokens;
    this.#secrets = secrets;
    this.#origins = new Set(allowed_origins);
  }

  /**
   * The principal of a request. Credentials: `Authorization: Bearer`, `X-API-Key`, or for sockets the subprotocol
   * `parley.token.…`. Never the URL: URLs are logged.
   * @throws ParleyError `unauthenticated`, `permission_denied` (a page of another origin).
   */
  principal(headers: IncomingHttpHeaders, now_ms: number): Principal {
    const credential = credentialOf(headers);
    this.#checkOrigin(headers);
    if (credential === null) {
      if (this.#keys.any) throw new ParleyError('unauthenticated', 'a key is required: send Authorization: Bearer KEY');
      return anonymous(headers);
    }
    if (looksLikeSessionToken(credential)) {
      const session_id = this.#tokens.verify(credential, now_ms);
      return { id: session_id, scopes: [], session_id };
    }
    if (looksLikeClientSecret(credential)) {
      const client_secret = this.#secrets.verify(credential, now_ms);
      return { id: client_secret.secret_id, scopes: [], client_secret };
    }
    const row = this.#keys.find(credential);
    if (row) return { id: row.key_id, scopes: row.scopes };
    // An open server asks for nothing, so a key that it does not know is not a reason to refuse.
    if (!this.#keys.any) return anonymous(headers);
    throw new ParleyError('unauthenticated', 'the key is not known here');
  }

  /** True when pages of this origin may call: loopback ones and those of the configuration. */
  allowsOrigin(origin: string): boolean {
    if (this.#origins.has(origin)) return true;
    try {
      return isLoopback(new URL(origin).hostname);
    } catch {
      return false;
    }
  }

  #checkOrigin({ origin }: IncomingHttpHeaders): void {
    if (origin !== undefined && !this.allowsOrigin(origin)) {
      throw new ParleyError(
        'permission_denied',
        `pages of ${origin.slice(0, 128)} may not call this server; allow it with PARLEY_ALLOWED_ORIGINS`,
      );
    }
  }
}

// A page of any site can reach a loopback server through the browser of the person at it, and a name that resolves to
// 127.0.0.1 makes that page look local: it sends no Origin, and may send any credential. So whoever is let in without
// one that is known here must have asked for a local name.
function anonymous({ host }: IncomingHttpHeaders): Principal {
  const name = (host ?? '').replace(/:\d+$/, '');
  if (isLoopback(name)) return ANONYMOUS;
  throw new ParleyError(
    'permission_denied',
    `without a key this server answers to loopback names only, not to '${name.slice(0, 128)}'`,
  );
}

/** Throws `permission_denied` unless the principal has the scope, or a token for this session. */
export function require(principal: Principal, scope: Scope, session_id?: string): void {
  if (principal.session_id !== undefined) {
    if (session_id !== undefined && principal.session_id === session_id) return;
    throw new ParleyError('permission_denied', 'a session token opens its own session only');
  }
  if (principal.client_secret !== undefined)
    throw new ParleyError('permission_denied', 'a client secret opens calls of its own target only');
  if (!grants(principal.scopes, scope))
    throw new ParleyError('permission_denied', `this needs a key with scope '${scope}'`);
}

function credentialOf(headers: IncomingHttpHeaders): string | null {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const match = /^Bearer +(\S+)$/i.exec(authorization.trim());
    if (!match) throw new ParleyError('unauthenticated', 'Authorization must be: Bearer KEY');
    return match[1] as string;
  }
  const key = headers['x-api-key'];
  if (typeof key === 'string' && key !== '') return key;
  const offered = headers['sec-websocket-protocol'];
  for (const protocol of offered?.split(',') ?? []) {
    const name = protocol.trim();
    if (name.startsWith(TOKEN_SUBPROTOCOL_PREFIX)) return name.slice(TOKEN_SUBPROTOCOL_PREFIX.length);
  }
  return null;
}
