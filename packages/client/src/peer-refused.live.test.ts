// Calls over WebRTC that do not come about: why not, and what stands in.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { complaintsOf } from './call/page.test.support.ts';
import { failure, HELLO, start, told, withBrowser } from './peer.test.support.ts';

const farEnd = withBrowser();

test('what keeps a call from coming about is named, and the microphone is given back', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await page.evaluate(`(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.streams = [];
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      const stream = await real(wanted);
      window.streams.push(stream);
      return stream;
    };
  })()`);
  far.fault = 'no way';
  expect(await failure(page, '{ audio: true, rtc: { connectTimeoutMs: 400 } }')).toEqual([
    'unavailable',
    'ice_failed',
    'no way for the audio to the control plane was found within 400 ms; a firewall may need a TURN server',
  ]);
  far.fault = 'no channel';
  expect(await failure(page)).toEqual([
    'unavailable',
    'channel_failed',
    'the far end refused the data channel oai-events',
  ]);
  far.fault = null;
  // The channel of another connection, one that never comes about.
  await page.evaluate(`(() => {
    const { createDataChannel } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.createDataChannel = function (label) {
      RTCPeerConnection.prototype.createDataChannel = createDataChannel;
      createDataChannel.call(this, label);
      return new RTCPeerConnection().createDataChannel(label);
    };
  })()`);
  expect(await failure(page, '{ audio: true, rtc: { channelTimeoutMs: 400 } }')).toEqual([
    'deadline_exceeded',
    'channel_failed',
    'the data channel oai-events did not open in 400 ms',
  ]);
  far.refusal = new ParleyError('unavailable', 'the provider refused the call', {
    details: { boundary: 'parley -> provider' },
  });
  expect(await failure(page)).toEqual(['unavailable', null, 'the provider refused the call']);
  far.refusal = null;
  far.fault = 'no answer';
  expect((await failure(page, '{ audio: true, signal: AbortSignal.timeout(300) }')).slice(0, 2)).toEqual([
    'deadline_exceeded',
    null,
  ]);
  far.session = { status: 'closed', close_reason: 'idle_timeout' };
  expect(await failure(page)).toEqual([
    'failed_precondition',
    'session_ended',
    'session sess_1 is closed (idle_timeout)',
  ]);
  expect(await told(page, 'streams.map((stream) => stream.getTracks()[0].readyState)')).toEqual([
    'ended',
    'ended',
    'ended',
    'ended',
    'ended',
  ]);
  expect(complaints).toEqual([]);
});

test('what keeps a page from calling at all is named before anything is offered', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const refuse = (name: string): Promise<void> =>
    page.evaluate(`navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', '${name}'))`);
  await refuse('NotAllowedError');
  expect((await failure(page)).slice(0, 2)).toEqual(['permission_denied', 'microphone_refused']);
  await refuse('NotFoundError');
  expect((await failure(page)).slice(0, 2)).toEqual(['not_found', 'microphone_missing']);
  await refuse('NotReadableError');
  expect((await failure(page)).slice(0, 2)).toEqual(['failed_precondition', 'microphone_failed']);
  const relayed = "{ rtc: { iceTransportPolicy: 'relay', iceServers: [{ urls: 'stun:127.0.0.1:9' }] } }";
  expect((await failure(page, relayed)).slice(0, 2)).toEqual(['failed_precondition', 'ice_failed']);
  expect((await failure(page, '{ sessionId: undefined }')).slice(0, 2)).toEqual(['invalid_argument', null]);
  await page.evaluate('delete window.RTCPeerConnection');
  expect((await failure(page, '{ audio: false }')).slice(0, 2)).toEqual(['failed_precondition', 'webrtc_missing']);
  expect(far.offers).toBe(0);
});

test('a token names its session, and one whose time is over says so', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const token = (until_ms: number) => `pst.sess_1.${until_ms.toString(36)}.signature`;
  const good = token(Date.now() + 60_000);
  await start(page, `{ sessionId: undefined, token: '${good}' }`);
  expect(far.plane.asked.at(-1)?.headers.authorization).toBe(`Bearer ${good}`);
  await page.evaluate('call.hangUp()');
  far.plane.route('GET /api/v1/sessions/sess_1', null, () => ({
    status: 401,
    body: new ParleyError('unauthenticated', 'the session token has expired').toBody('req_1'),
  }));
  expect(await failure(page, `{ sessionId: undefined, token: '${token(Date.now() - 1)}' }`)).toEqual([
    'unauthenticated',
    'token_expired',
    'the session token has expired',
  ]);
});

test('another session over websocket stands in where WebRTC is not to be had', async () => {
  await using far = await farEnd();
  const { plane } = far;
  const page = await far.caller();
  plane.route('GET /api/v1/sessions/sess_2', null, () => ({
    body: { ...sessionOver('websocket'), session_id: 'sess_2' },
  }));
  plane.route('POST /api/v1/sessions/sess_2/close', 'CloseRequest', () => ({ body: {} }));
  plane.socket = (socket) => socket.send(JSON.stringify(HELLO));
  far.fault = 'no way';
  await start(page, "{ audio: true, rtc: { connectTimeoutMs: 300 }, fallback: () => ({ sessionId: 'sess_2' }) }");
  expect(await told(page, '[call.path, call.session.session_id]')).toEqual(['websocket', 'sess_2']);
  expect(far.closed).toEqual([{ reason: 'webrtc_unavailable' }]);
  await page.evaluate('call.hangUp()');
});

function sessionOver(transport: string) {
  return { session_id: 'sess_1', status: 'live', transport, responder: 'model', target: 'support.voice', last_seq: 0 };
}
