import { randomSuffix } from '@parley/core';
import type { Clock } from '../clock.ts';
import { WireError } from '../session/wire-error.ts';
import { isObject, type Wire } from '../wire.ts';

// Ephemeral tokens of Gemini (`POST …/auth_tokens`): keys for pages, good for so many sessions that begin in time, with
// as much of the setup as their maker locked.

const USES = 1;
const SESSION_MS = 60_000;
const EXPIRE_MS = 30 * 60_000;
const EXPIRE_MS_MAX = 20 * 60 * 60_000;
const KEYS = new Set([
  'uses',
  'expireTime',
  'newSessionExpireTime',
  'bidiGenerateContentSetup',
  'fieldMask',
  'lockAdditionalFields',
]);

/** What a token says of a session that it opens. */
export interface Grant {
  /** Of the setup what the client cannot choose. */
  locked: Wire;
  /** The fields of it; null: all, whatever the client says. */
  fields: readonly string[] | null;
  /** When the session ends, on the clock of the simulator. */
  expires_ms: number;
}

interface Token extends Grant {
  uses: number;
  begin_by_ms: number;
}

export class AuthTokens {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #tokens = new Map<string, Token>();

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
  }

  /** Makes a token; throws the error of a bad body. */
  create(body: unknown): Wire {
    if (!isObject(body)) throw new WireError(null, 'Invalid JSON payload received.');
    const unknown = Object.keys(body).find((key) => !KEYS.has(key));
    if (unknown !== undefined) {
      throw new WireError(null, `Invalid JSON payload received. Unknown name "${unknown}": Cannot find field.`);
    }
    const { uses = USES, bidiGenerateContentSetup: setup = {}, fieldMask } = body;
    if (!Number.isInteger(uses) || !isObject(setup)) {
      throw new WireError(null, 'Request contains an invalid argument.');
    }
    const now = this.#clock.now();
    const mask = typeof fieldMask === 'string' && fieldMask !== '' ? fieldMask.split(',') : null;
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size >= this.#max && oldest !== undefined) this.#tokens.delete(oldest);
    const name = `auth_tokens/${randomSuffix()}`;
    this.#tokens.set(name, {
      // 0 is as often as one likes.
      uses: uses === 0 ? Number.POSITIVE_INFINITY : Number(uses),
      begin_by_ms: now + leftMs(body['newSessionExpireTime'], SESSION_MS),
      expires_ms: now + leftMs(body['expireTime'], EXPIRE_MS),
      locked: setup,
      fields: mask ?? (Object.keys(setup).length > 0 ? null : []),
    });
    return { name };
  }

  /** Uses a token once. A text says why it cannot be. */
  use(name: string): Grant | string {
    const token = this.#tokens.get(name);
    const now = this.#clock.now();
    if (!token) return 'Auth token not found.';
    if (now >= token.expires_ms) return 'Auth token has expired.';
    if (now >= token.begin_by_ms) return 'Auth token has expired for new sessions.';
    if (token.uses <= 0) return 'Auth token has been used too many times.';
    token.uses -= 1;
    return token;
  }
}

/** A setup as it counts: what was locked, and of the rest what the client asked for. */
export function granted(setup: Wire, { locked, fields }: Grant): Wire {
  if (fields === null) {
    const { sessionResumption } = setup;
    return { ...locked, ...(sessionResumption === undefined ? {} : { sessionResumption }) };
  }
  return fields.reduce((whole, path) => placed(whole, locked, path.split('.')), setup);
}

/** `whole` with one path of `from` in place of its own; without it where `from` has none. */
function placed(whole: Wire, from: Wire, [key = '', ...rest]: string[]): Wire {
  if (rest.length === 0) {
    const { [key]: _mine, ...others } = whole;
    return key in from ? { ...others, [key]: from[key] } : others;
  }
  const [mine, theirs] = [whole[key], from[key]];
  return { ...whole, [key]: placed(isObject(mine) ? mine : {}, isObject(theirs) ? theirs : {}, rest) };
}

/** Of a time of day, in RFC 3339: the tokens of a simulator whose clock is its own still expire when they say. */
function leftMs(time: unknown, otherwise: number): number {
  if (time === undefined) return otherwise;
  const left = typeof time === 'string' ? Date.parse(time) - Date.now() : Number.NaN;
  if (!Number.isFinite(left) || left > EXPIRE_MS_MAX)
    throw new WireError(null, 'Request contains an invalid argument.');
  return left;
}
