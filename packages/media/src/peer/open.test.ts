import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import type { MediaPeer } from './media-peer.ts';

afterEach(() => {
  vi.doUnmock('node-datachannel');
  vi.resetModules();
});

test('werift stands in where the native driver does not load', async () => {
  vi.doMock('node-datachannel', () => {
    throw new Error('no binary for this machine');
  });
  const { mediaDriver, openMediaPeer } = await import('./open.ts');
  const peer = await openMediaPeer();
  expect([peer.driver, await mediaDriver()]).toEqual(['werift', 'werift']);
  expect(await peer.offer()).toContain('opus/48000');
  peer.close();
  await expect(openMediaPeer({ driver: 'node-datachannel' })).rejects.toMatchObject({ code: 'unimplemented' });
  await expect(openMediaPeer({ udpMuxPort: 40_000 })).rejects.toMatchObject({ code: 'unimplemented' });
});

test('the native driver is taken where it loads, and keeps to its ports', async () => {
  const { mediaDriver, openMediaPeer } = await import('./open.ts');
  expect(await mediaDriver()).toBe('node-datachannel');
  const port = await freePort();
  const peers: MediaPeer[] = [];
  const anOffer = async (): Promise<string> => {
    const peer = await openMediaPeer();
    peers.push(peer);
    return peer.offer();
  };
  for (let n = 0; n < 3; n++) {
    const peer = await openMediaPeer({ udpMuxPort: port });
    peers.push(peer);
    expect(candidatePorts(await peer.answer(await anOffer()))).toEqual([port]);
  }
  for (const driver of ['node-datachannel', 'werift'] as const) {
    const only = await freePort();
    const peer = await openMediaPeer({ driver, portRange: [only, only + 20] });
    peers.push(peer);
    const ports = candidatePorts(await peer.answer(await anOffer()));
    expect(ports).not.toEqual([]);
    for (const one of ports) {
      expect(one).toBeGreaterThanOrEqual(only);
      expect(one).toBeLessThanOrEqual(only + 20);
    }
  }
  for (const peer of peers) peer.close();
});

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return Math.min(port, 65_000);
}

function candidatePorts(sdp: string): number[] {
  const ports = [...sdp.matchAll(/^a=candidate:\S+ 1 \S+ \d+ 127\.0\.0\.1 (\d+) /gmu)].map(([, port]) => Number(port));
  return [...new Set(ports)];
}
