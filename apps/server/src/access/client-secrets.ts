// Client secrets: what a page holds that speaks OpenAI's protocol. Each opens calls of one target until it expires, as
// it was frozen when it was made, and nothing else. Kept hashed, in memory: a restart forgets them.

import { createHash, randomBytes } from 'node:crypto';
import { newId, ParleyError, type StartRequest } from '@parley/core';

/** What a secret starts: one target, as its maker said. */
export interface FrozenStart {
  target: string;
  request: StartRequest;
}

export interface ClientSecret extends FrozenStart {
  /** Of the key `ek_…`, for logs. */
  secret_id: string;
  expires_at_ms: number;
}

const PREFIX = 'ek_';

export class ClientSecrets {
  readonly #max: number;
  /** By the hash of the key, oldest first. */
  readonly #byHash = new Map<string, ClientSecret>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byHash.size;
  }

  /**
   * A secret for one target. The key is shown this once.
   * @throws ParleyError `resource_exhausted` when too many are good at the moment.
   */
  issue(frozen: FrozenStart, expires_at_ms: number, now_ms: number): { key: string; secret: ClientSecret } {
    if (this.#byHash.size >= this.#max) this.#forgetExpired(now_ms);
    if (this.#byHash.size >= this.#max) {
      throw new ParleyError('resource_exhausted', `this server is at its limit of ${this.#max} client secrets`, {
        retry_after_ms: 1000,
        details: { limit: this.#max, current: this.#byHash.size },
      });
    }
    const key = `${PREFIX}${randomBytes(32).toString('base64url')}`;
    const secret: ClientSecret = { ...frozen, secret_id: newId('key'), expires_at_ms };
    this.#byHash.set(hashOf(key), secret);
    return { key, secret };
  }

  /**
   * What a key opens.
   * @throws ParleyError `unauthenticated` when it was not issued here or is over.
   */
  verify(key: string, now_ms: number): ClientSecret {
    const secret = this.#byHash.get(hashOf(key));
    if (!secret) throw new ParleyError('unauthenticated', 'the client secret was not issued by this server');
    if (secret.expires_at_ms <= now_ms) throw new ParleyError('unauthenticated', 'the client secret has expired');
    return secret;
  }

  #forgetExpired(now_ms: number): void {
    for (const [hash, { expires_at_ms }] of this.#byHash) if (expires_at_ms <= now_ms) this.#byHash.delete(hash);
  }
}

export function looksLikeClientSecret(credential: string): boolean {
  return credential.startsWith(PREFIX);
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
