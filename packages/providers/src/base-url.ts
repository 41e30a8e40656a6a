// The address of a provider, from configuration: checked when a server starts, and not when the first call is made.

import { ParleyError } from '@parley/core';

const SOCKET_SCHEMES: ReadonlyMap<string, 'ws:' | 'wss:'> = new Map([
  ['http:', 'ws:'],
  ['ws:', 'ws:'],
  ['https:', 'wss:'],
  ['wss:', 'wss:'],
]);

/** `wss://…` of a base URL, without a slash at its end. @throws ParleyError `invalid_argument` */
export function socketBase(base_url: string): URL {
  const url = URL.parse(base_url);
  const scheme = url && SOCKET_SCHEMES.get(url.protocol);
  if (!url || !scheme) {
    throw new ParleyError('invalid_argument', 'base_url must start with http://, https://, ws:// or wss://');
  }
  // A key that travels in the clear is everybody's.
  if (scheme === 'ws:' && !isLoopbackHost(url.hostname)) {
    throw new ParleyError(
      'invalid_argument',
      `base_url must be https or wss, unless its host is loopback; got ${url.protocol}//${url.hostname}`,
    );
  }
  url.protocol = scheme;
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** `wss://…/realtime` of a base URL. */
export function under(base: URL, path: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}${path}`;
  return url;
}

function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
