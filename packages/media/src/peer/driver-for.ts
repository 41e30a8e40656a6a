// Which driver can answer an offer. libjuice, under node-datachannel, takes a tie-breaker of 0 for none and refuses the
// check with it, and Chromium sends 0 from behind a TURN server that it reaches over TCP or TLS: such a page, behind a
// firewall that stops UDP, would not be heard. werift reads it as it is meant.

import type { MediaDriver } from './media-peer.ts';

const RELAY = /^a=candidate:\S+ \d+ udp (\d+) \S+ \d+ typ relay\b/gimu;
/** Preference of a candidate's type, the first byte of its priority: browsers give relays over TLS 0, over TCP 1. */
const BY_STREAM_MAX = 1;

/**
 * The driver that an offer needs, or undefined where each will do. One whose relays are all over TCP or TLS needs
 * werift; a relay over UDP is a way for both.
 *
 * @example
 * const peer = await openMediaPeer({ driver: driverFor(offer) });
 */
export function driverFor(offer: string): MediaDriver | undefined {
  const relays = [...offer.matchAll(RELAY)].map(([, priority]) => Math.floor(Number(priority) / 2 ** 24));
  return relays.length > 0 && relays.every((preference) => preference <= BY_STREAM_MAX) ? 'werift' : undefined;
}
