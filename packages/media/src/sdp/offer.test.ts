import { expect, test } from 'vitest';
import { readOffer, reciprocal } from './offer.ts';

/** As Chromium makes it, shortened. */
const OFFER = `v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 63 109 0
c=IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 3c1a4f3e-9d5e-4a3e-8f0f-2f2d5e6c7b8a.local 51000 typ host generation 0
a=candidate:2 1 udp 2113937151 192.0.2.7 51001 typ host generation 0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 00:11
a=setup:actpass
a=mid:0
a=sendonly
a=rtpmap:63 red/48000/2
a=rtpmap:109 opus/48000/2
a=rtpmap:0 PCMU/8000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=mid:1
a=sctp-port:5000
`.replaceAll('\n', '\r\n');

test('an offer says which payload is Opus, what goes where, and whether there are channels', () => {
  const offer = readOffer(OFFER);
  expect(offer.audio).toEqual({ mid: '0', direction: 'sendonly', opusPayload: 109 });
  expect(offer.channels).toBe(true);
  expect(readOffer(OFFER.slice(0, OFFER.indexOf('m=application'))).channels).toBe(false);
  expect(['sendrecv', 'sendonly', 'recvonly', 'inactive'].map((one) => reciprocal(one as 'sendrecv'))).toEqual([
    'sendrecv',
    'recvonly',
    'sendonly',
    'inactive',
  ]);
});

test('names that only the network of the browser can resolve are left out', () => {
  const { sdp } = readOffer(OFFER);
  expect(sdp).not.toContain('.local');
  expect(sdp).toContain('192.0.2.7');
  expect(sdp.endsWith('\r\n')).toBe(true);
});

test('lines may end in a line feed alone', () => {
  expect(readOffer(OFFER.replaceAll('\r', '')).audio.opusPayload).toBe(109);
});

test('a second audio line, or video, is refused by name', () => {
  const audio = OFFER.slice(OFFER.indexOf('m=audio'), OFFER.indexOf('m=application'));
  expect(() => readOffer(OFFER + audio)).toThrow(/got audio, application, audio/u);
  expect(() => readOffer(OFFER + audio.replace('m=audio', 'm=video'))).toThrow(/got audio, application, video/u);
});
