// Where media find their way: STUN and TURN servers, and the UDP ports of those that end here. A TURN credential is a
// secret: no message names one.

import { type IceServer, ParleyError, TIMES } from '@parley/core';

/**
 * A STUN or TURN server as it is configured. A TURN server has a `username` and a `credential` that everybody learns and
 * that are good for ever, or the `secret` that it shares with this server: then each call gets credentials of its own
 * that end.
 */
export interface IceServerSettings extends IceServer {
  /** The secret of the TURN server: coturn's `static-auth-secret`, with `use-auth-secret`. It never leaves this server. */
  secret?: string;
  /** The longest that a credential made of `secret` may be good for, in milliseconds: one minute to a week. Default a day. */
  ttl_ms?: number;
}

export interface MediaPorts {
  host: string;
  /** UDP ports, both ends included; null is any. */
  range: readonly [number, number] | null;
  /** One port for all calls. */
  one: number | null;
}

const SERVERS_MAX = 16;
/** A caller has one credential, and with it all the time there is to guess the secret that it was made of. */
const SECRET_CHARS_MIN = 16;
/** To be offered, answered and connected takes this long at most, rounded up to a minute for clocks that differ. */
const TTL_MIN_MS = Math.ceil((TIMES.offer_ms + TIMES.media_connect_ms + TIMES.channel_open_ms) / 60_000) * 60_000;
const TTL_MAX_MS = 7 * 24 * 60 * 60_000;
const WITH_SECRET = ['secret', 'ttl_ms', 'urls'];
const URL = /^(?:stuns?|turns?):[^\s]{1,256}$/;

/** `[{"urls": ["turn:turn.example.org:3478"], "secret": "…"}]`. Throws `invalid_argument`. */
export function iceServersOf(json: string): IceServerSettings[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid('must be JSON');
  }
  if (!Array.isArray(value))
    throw invalid('must be a list of {"urls": […], "secret"} or {"urls": […], "username", "credential"}');
  return iceServers(value);
}

/** Servers as they were given, checked: who starts a server should hear of a mistake, and not whoever calls first. */
export function iceServers(given: readonly unknown[]): IceServerSettings[] {
  if (given.length > SERVERS_MAX) throw invalid(`may have at most ${SERVERS_MAX} entries`);
  return given.map((one, n) => {
    if (typeof one !== 'object' || one === null || !('urls' in one)) throw invalid(`entry ${n} must have urls`);
    const entry = one as Record<string, unknown>;
    const { urls: some, username, credential, secret, ttl_ms } = entry;
    const urls = (Array.isArray(some) ? some : [some]) as unknown[];
    for (const url of urls) {
      if (typeof url !== 'string' || !URL.test(url))
        throw invalid(`entry ${n}: urls begin with stun:, turn: or turns:`);
      if (secret === undefined && relays(url) && (typeof username !== 'string' || typeof credential !== 'string')) {
        throw invalid(`entry ${n}: a TURN server needs a secret, or a username and a credential`);
      }
    }
    if (secret !== undefined) return { urls: urls as string[], ...madeOf(entry, n) };
    if (ttl_ms !== undefined) throw invalid(`entry ${n}: ttl_ms is of credentials that are made of a secret`);
    return {
      urls: urls as string[],
      ...(typeof username === 'string' ? { username } : {}),
      ...(typeof credential === 'string' ? { credential } : {}),
    };
  });
}

/** What credentials are made of. Such an entry is ours alone, and a name that nobody reads is a mistake in it. */
function madeOf(entry: Record<string, unknown>, n: number): Pick<IceServerSettings, 'secret' | 'ttl_ms'> {
  const { urls, secret, ttl_ms } = entry;
  for (const name of Object.keys(entry)) {
    if (WITH_SECRET.includes(name) || entry[name] === undefined) continue;
    throw invalid(`entry ${n} has a secret, and takes ${WITH_SECRET.join(', ')}; got '${name.slice(0, 32)}'`);
  }
  if (typeof secret !== 'string' || secret.length < SECRET_CHARS_MIN) {
    throw invalid(`entry ${n}: a secret is a string of at least ${SECRET_CHARS_MIN} characters`);
  }
  if (![urls].flat().some((url) => relays(url as string))) throw invalid(`entry ${n} has a secret and no TURN server`);
  if (ttl_ms === undefined) return { secret };
  if (!Number.isInteger(ttl_ms) || (ttl_ms as number) < TTL_MIN_MS || (ttl_ms as number) > TTL_MAX_MS) {
    throw invalid(`entry ${n}: ttl_ms must be an integer from ${TTL_MIN_MS} to ${TTL_MAX_MS}`);
  }
  return { secret, ttl_ms: ttl_ms as number };
}

function relays(url: string): boolean {
  return url.startsWith('turn');
}

/** `50000-50999`, `50000`, or nothing. Throws `invalid_argument`. */
export function mediaPorts(host: string, ports: string | undefined): MediaPorts {
  if (ports === undefined) return { host, range: null, one: null };
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(ports.trim());
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (!match || first < 1 || last > 65_535 || last < first) {
    throw new ParleyError(
      'invalid_argument',
      `rtc_ports must be like 50000-50999 or 50000, got '${ports.slice(0, 32)}'`,
    );
  }
  return match[2] === undefined ? { host, range: null, one: first } : { host, range: [first, last], one: null };
}

function invalid(why: string): ParleyError {
  return new ParleyError('invalid_argument', `ice_servers (PARLEY_ICE_SERVERS) ${why}`);
}
