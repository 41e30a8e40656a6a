// Where media find their way: STUN and TURN servers, and the UDP ports of those that end here. A TURN credential is a
// secret: no message names one.

import { type IceServer, ParleyError } from '@parley/core';

export interface MediaPorts {
  host: string;
  /** UDP ports, both ends included; null is any. */
  range: readonly [number, number] | null;
  /** One port for all calls. */
  one: number | null;
}

const SERVERS_MAX = 16;
const URL = /^(?:stuns?|turns?):[^\s]{1,256}$/;

/** `[{"urls": ["turn:turn.example.org:3478"], "username": "u", "credential": "c"}]`. Throws `invalid_argument`. */
export function iceServersOf(json: string): IceServer[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw invalid('must be JSON');
  }
  if (!Array.isArray(value)) throw invalid('must be a list of {"urls": […], "username", "credential"}');
  return iceServers(value);
}

/** Servers as they were given, checked: who starts a server should hear of a mistake, and not whoever calls first. */
export function iceServers(given: readonly unknown[]): IceServer[] {
  if (given.length > SERVERS_MAX) throw invalid(`may have at most ${SERVERS_MAX} entries`);
  return given.map((one, n) => {
    if (typeof one !== 'object' || one === null || !('urls' in one)) throw invalid(`entry ${n} must have urls`);
    const { urls: some, username, credential } = one as Record<string, unknown>;
    const urls = (Array.isArray(some) ? some : [some]) as unknown[];
    for (const url of urls) {
      if (typeof url !== 'string' || !URL.test(url))
        throw invalid(`entry ${n}: urls begin with stun:, turn: or turns:`);
      if (url.startsWith('turn') && (typeof username !== 'string' || typeof credential !== 'string')) {
        throw invalid(`entry ${n}: a TURN server needs a username and a credential`);
      }
    }
    return {
      urls: urls as string[],
      ...(typeof username === 'string' ? { username } : {}),
      ...(typeof credential === 'string' ? { credential } : {}),
    };
  });
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
