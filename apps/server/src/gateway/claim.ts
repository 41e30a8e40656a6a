// What a request with an `Idempotency-Key` claims to be.

import { createHash } from 'node:crypto';
import type { Claim } from '../sessions/repeats.ts';
import { headerOf, type RouteContext } from './route.ts';

/**
 * The claim of a request, or undefined where it has no key. Keys of one caller for one kind of request are apart from
 * all others.
 *
 * @param kind what is asked for: `start`, `say`
 * @param target what it is asked of, where the path says it: another one makes it another request
 */
export function claimOf({ headers, principal, body }: RouteContext, kind: string, target = ''): Claim | undefined {
  const key = headerOf(headers, 'idempotency-key');
  if (key === undefined) return undefined;
  const hash = createHash('sha256').update(target).update('\n');
  // Sound is hashed as it is: written out as JSON it would be four times as long.
  const fingerprint = hash.update(Buffer.isBuffer(body) ? body : JSON.stringify(body)).digest('hex');
  return { scope: `${kind}:${principal.id}`, key, fingerprint };
}
