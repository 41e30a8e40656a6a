import { expect, test } from 'vitest';
import { driverFor } from './driver-for.ts';

// As Chromium writes them: relays over UDP, TCP and TLS, and an address of its own.
const UDP = 'a=candidate:1817357936 1 udp 50339839 192.0.2.1 59684 typ relay raddr 0.0.0.0 rport 0 generation 0';
const TCP = 'a=candidate:1797656238 1 udp 25042943 192.0.2.1 62410 typ relay raddr 0.0.0.0 rport 0 generation 0';
const TLS = 'a=candidate:1797656239 1 udp 8265727 192.0.2.1 62411 typ relay raddr 0.0.0.0 rport 0 generation 0';
const HOST = 'a=candidate:632090143 1 udp 2122194687 192.0.2.2 50179 typ host generation 0';
const offer = (...candidates: string[]): string =>
  ['v=0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', ...candidates].join('\r\n');

test('a page that is reached through a relay over TCP or TLS alone is answered by werift', () => {
  expect(driverFor(offer(TCP))).toBe('werift');
  expect(driverFor(offer(HOST, TLS, TCP))).toBe('werift');
});

test('any other page is answered by the driver of the machine', () => {
  for (const candidates of [[], [HOST], [UDP], [TCP, UDP], [TCP.replace(' udp ', ' tcp ')]]) {
    expect(driverFor(offer(...candidates))).toBeUndefined();
  }
});
