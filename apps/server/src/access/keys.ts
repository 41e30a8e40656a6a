// Keys, kept as hashes with scopes. A key is shown once, when it is made.

import { createHash, randomBytes } from 'node:crypto';
import { newId, ParleyError } from '@parley/core';
import type { KeyRow, Store } from '../store/store.ts';

export const SCOPES = ['admin', 'agent', 'start', 'observe'] as const;
export type Scope = (typeof SCOPES)[number];

/** What a scope may do besides its own. */
const INCLUDES: Record<Scope, readonly Scope[]> = {
  admin: SCOPES,
  agent: ['agent'],
  start: ['start', 'observe'],
  observe: ['observe'],
};

const KEYS_MAX = 10_000;
/** Ids of keys that are not in the store. */
const CONFIGURED = 'configured_';

export class Keys {
  readonly #store: Store;
  readonly #byHash = new Map<string, KeyRow>();

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Loads the stored keys, beside those of the configuration, which have every scope. */
  static async load(store: Store, configured: readonly string[]): Promise<Keys> {
    const keys = new Keys(store);
    for (const row of await store.keys()) if (row.revoked_at_ms === undefined) keys.#byHash.set(row.hash, row);
    for (const [i, key] of configured.entries()) {
      const hash = hashOf(key);
      keys.#byHash.set(hash, {
        key_id: `${CONFIGURED}${i + 1}`,
        hash,
        name: 'configured',
        scopes: ['admin'],
        created_at_ms: 0,
      });
    }
    return keys;
  }

  /** False while no key exists: then loopback is open. */
  get any(): boolean {
    return this.#byHash.size > 0;
  }

  /** The row of a key, or null. Looked up by hash: nothing is compared byte by byte. */
  find(key: string): KeyRow | null {
    return this.#byHash.get(hashOf(key)) ?? null;
  }

  async create(name: string, scopes: readonly Scope[], now_ms: number): Promise<{ row: KeyRow; key: string }> {
    if (this.#byHash.size >= KEYS_MAX)
      throw new ParleyError('resource_exhausted', `at most ${KEYS_MAX} keys may exist`);
    const key = `pk_${randomBytes(32).toString('base64url')}`;
    const row: KeyRow = { key_id: newId('key'), hash: hashOf(key), name, scopes: [...scopes], created_at_ms: now_ms };
    await this.#store.commit([{ op: 'key.insert', key: row }]);
    this.#byHash.set(row.hash, row);
    return { row, key };
  }

  async revoke(key_id: string, now_ms: number): Promise<void> {
    const row = [...this.#byHash.values()].find((one) => one.key_id === key_id);
    if (!row) throw new ParleyError('not_found', `no key ${key_id.slice(0, 64)}`);
    if (row.key_id.startsWith(CONFIGURED))
      throw new ParleyError('failed_precondition', 'a key of the configuration is revoked by removing it there');
    await this.#store.commit([{ op: 'key.revoke', key_id, at_ms: now_ms }]);
    this.#byHash.delete(row.hash);
  }

  list(): Omit<KeyRow, 'hash'>[] {
    return [...this.#byHash.values()].map(({ hash: _, ...row }) => row);
  }
}

export function grants(scopes: readonly string[], wanted: Scope): boolean {
  return scopes.some((scope) => INCLUDES[scope as Scope]?.includes(wanted) ?? false);
}

function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
