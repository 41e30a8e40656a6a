import { expect, test } from 'vitest';
import { iceUrls, MEDIA_PEER_DEFAULTS, termsOf } from './options.ts';

test('defaults stand where nothing is said, also where it is said to be undefined', () => {
  expect(termsOf({ connectMs: undefined, lostMs: 5 })).toMatchObject({
    ...MEDIA_PEER_DEFAULTS,
    lostMs: 5,
    iceServers: [],
    portRange: null,
    udpMuxPort: null,
  });
});

test('STUN and TURN servers are read as browsers read them', () => {
  expect(iceUrls({ urls: 'stun:stun.example.org' })).toEqual([
    { scheme: 'stun', hostname: 'stun.example.org', port: 3478, transport: 'udp' },
  ]);
  const turn = { username: 'me', credential: 'secret' };
  expect(iceUrls({ urls: ['turn:[2001:db8::1]:99?transport=tcp', 'turns:turn.example.org'], ...turn })).toEqual([
    { scheme: 'turn', hostname: '2001:db8::1', port: 99, transport: 'tcp' },
    { scheme: 'turns', hostname: 'turn.example.org', port: 5349, transport: 'tcp' },
  ]);
});

test('what cannot be used is refused, and no credential is repeated', () => {
  expect(() => termsOf({ iceServers: [{ urls: 'https://stun.example.org' }] })).toThrow(/stun: or turn: URL/u);
  expect(() => termsOf({ iceServers: [{ urls: 'turn:turn.example.org' }] })).toThrow(/needs a username/u);
  expect(() => termsOf({ portRange: [2_000, 1_000] })).toThrow(/begin before it ends/u);
  expect(() => termsOf({ udpMuxPort: 70_000 })).toThrow(/1 to 65535, got 70000/u);
  const bad = { urls: 'turn:a b', username: 'me', credential: 'hidden' };
  expect(() => termsOf({ iceServers: [bad] })).toThrow(expect.not.stringContaining('hidden'));
});
