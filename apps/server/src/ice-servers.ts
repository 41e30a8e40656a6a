// STUN and TURN servers for one call. Where a TURN server shares a secret with this one, a call gets a credential of its
// own: the name is the second in which it ends and what it is for, the password their HMAC-SHA1, and the TURN server
// needs to be told nothing (coturn's `use-auth-secret`, the REST API for TURN).
//
// P1  The secret stays here: what is given away cannot be turned back into it, and no message or log line holds it.
// P2  A credential ends with the session that it is for, a minute later, or when its `ttl_ms` is over.
// P3  It is not renewed while a connection lasts: no client could be told. So it has to last as long as the session,
//     because some TURN servers look at it whenever a relay is prolonged. coturn looks when a relay is asked for.

import { createHmac } from 'node:crypto';
import type { IceServer } from '@parley/core';
import type { IceServerSettings } from './rtc-config.ts';

const TTL_MS = 24 * 60 * 60_000;
/** For clocks that differ, and for a relay that is given up a little after its session. */
const MARGIN_MS = 60_000;

export interface IceUser {
  /** Stands in the log of the TURN server, and in that of the session. */
  id: string;
  /** When its session ends at the latest. */
  until_ms: number;
}

export class IceServers {
  readonly #servers: readonly IceServerSettings[];
  readonly #now: () => number;

  constructor(servers: readonly IceServerSettings[], now: () => number) {
    this.#servers = servers;
    this.#now = now;
  }

  /** The servers for one call, with credentials made for it. */
  for({ id, until_ms }: IceUser): IceServer[] {
    return this.#servers.map(({ secret, ttl_ms = TTL_MS, ...server }) => {
      if (secret === undefined) return { ...server };
      const ends_ms = Math.min(this.#now() + ttl_ms, until_ms + MARGIN_MS);
      const username = `${Math.ceil(ends_ms / 1000)}:${id}`;
      return { ...server, username, credential: credentialOf(secret, username) };
    });
  }
}

/** The password that goes with a name: what a TURN server with the same secret reckons too. */
export function credentialOf(secret: string, username: string): string {
  return createHmac('sha1', secret).update(username).digest('base64');
}
