// The call over WebRTC as a page makes it, in a real browser. The far end is a page as well.

import { ParleyError } from '@parley/core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { FarEnd } from './call/far-end.test.support.ts';
import { bundleOf, complaintsOf, launch, NO_CHROMIUM } from './call/page.test.support.ts';

vi.setConfig({ testTimeout: 30_000 });

let browser: Browser;
let bundle = '';
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => {
  if (NO_CHROMIUM !== null) return;
  bundle = await bundleOf('../index.ts');
  browser = await launch();
}, 60_000);
afterAll(async () => browser?.close());

const HELLO = {
  type: 'session.created',
  session: { audio: { input: { turn_detection: { type: 'server_vad', interrupt_response: true } } } },
};
const PUSH_TO_TALK = { type: 'session.created', session: { audio: { input: { turn_detection: null } } } };

async function farEnd(): Promise<FarEnd> {
  return FarEnd.open(await browser.newContext(), { '/client.js': bundle });
}

/** Starts a call in the page, and keeps what it tells in `window.told`. */
async function start(page: Page, options = '{ audio: true }'): Promise<void> {
  await page.evaluate(`(async () => {
    const { startCall, callProblemOf } = await import('/client.js');
    const told = (window.told = { states: [], levels: { mic: 0, speaker: 0 }, errors: [], cuts: [], words: [], tools: [], microphone: [], seqs: [] });
    const call = (window.call = await startCall({ url: location.origin, sessionId: 'sess_1', ...(${options}) }));
    call.on('state', (state) => told.states.push(state));
    call.on('level', ({ mic, speaker }) => {
      told.levels.mic = Math.max(told.levels.mic, mic);
      told.levels.speaker = Math.max(told.levels.speaker, speaker);
    });
    call.on('error', (error) => told.errors.push([error.code, callProblemOf(error), error.message]));
    call.on('interruption', (cut) => told.cuts.push(cut));
    call.on('transcript', ({ track, text, final }) => told.words.push(track + ': ' + text + (final ? '.' : '')));
    call.on('tool', ({ name, status }) => told.tools.push(name + ' ' + status));
    call.on('microphone', ({ open }) => told.microphone.push(open));
    call.on('quality', (quality) => (told.quality = quality));
    call.on('event', ({ seq }) => told.seqs.push(seq));
  })()`);
}

/** What an attempt to call fails with: code, problem, message. */
function failure(page: Page, options = '{ audio: true }'): Promise<[string, string | null, string]> {
  return page.evaluate(`(async () => {
    const { startCall, callProblemOf } = await import('/client.js');
    return startCall({ url: location.origin, sessionId: 'sess_1', ...(${options}) }).then(
      () => { throw new Error('the call came about'); },
      (error) => [error.code, callProblemOf(error), error.message],
    );
  })()`);
}

function told<T>(page: Page, what: string): Promise<T> {
  return page.evaluate<T>(what);
}

async function state(page: Page, wanted: string): Promise<void> {
  await page.waitForFunction(`window.call.state === '${wanted}'`, undefined, { polling: 20, timeout: 15_000 });
}

test('sound crosses both ways, frames cross the channel, and hanging up gives everything back', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  expect(await told(page, 'call.path')).toBe('webrtc');
  // The fake microphone beeps once a second.
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await far.sound(true);
  await far.say(
    { type: 'response.created', response: { id: 'resp_1' } },
    { type: 'output_audio_buffer.started', response_id: 'resp_1' },
    { type: 'response.output_audio_transcript.delta', response_id: 'resp_1', item_id: 'item_1', delta: 'Hello ' },
    {
      type: 'response.output_audio_transcript.done',
      response_id: 'resp_1',
      item_id: 'item_1',
      transcript: 'Hello there',
    },
    { type: 'response.done', response: { id: 'resp_1', status: 'completed', output: [] } },
  );
  await state(page, 'speaking');
  await page.waitForFunction('window.told.levels.speaker > 0.1 && window.told.levels.mic > 0.02');
  await far.sound(false);
  await far.say({ type: 'output_audio_buffer.stopped', response_id: 'resp_1' });
  await state(page, 'listening');
  expect(await told(page, 'told.words')).toEqual(['agent: Hello ', 'agent: Hello there.']);
  await page.waitForFunction('window.told.quality?.roundTripMs != null && window.told.quality.lost != null');
  await page.evaluate("call.sendText('and now?')");
  await far.next('response.create');
  expect(far.frames.map(({ type }) => type)).toEqual(['conversation.item.create', 'response.create']);
  const end = await told<{ reason: string; error: null; stats: Record<string, number> }>(page, "call.hangUp('enough')");
  expect(end).toMatchObject({ reason: 'enough', error: null, stats: { interruptions: 0, reconnections: 0 } });
  expect(end.stats['userAudioMs']).toBeGreaterThan(1000);
  expect(end.stats['replyAudioMs']).toBeGreaterThan(0);
  expect(far.closed).toEqual([{ reason: 'enough' }]);
  expect(complaints).toEqual([]);
});

test('the log comes by its own stream, and its end ends the call with the reason', async () => {
  await using far = await farEnd();
  far.log({ type: 'session.created' });
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  const input = { order: '42' };
  far.log({
    type: 'tool.called',
    call_id: 'call_1',
    name: 'lookup',
    arguments: '{}',
    execution_id: 'e',
    source: 'model',
  });
  far.log({ type: 'tool.dispatched', call_id: 'call_1', name: 'lookup', target: 'a.lookup', execution_id: 'e', input });
  await state(page, 'thinking');
  far.log({
    type: 'tool.completed',
    call_id: 'call_1',
    name: 'lookup',
    execution_id: 'e',
    status: 'succeeded',
    duration_ms: 3,
  });
  await state(page, 'listening');
  expect(await told(page, 'told.tools')).toEqual(['lookup called', 'lookup dispatched', 'lookup succeeded']);
  // A piece of the log on the channel is no second copy.
  await far.say({ type: 'parley.event', event: { seq: 99, at_ms: 1, type: 'handler.completed' } });
  const error = { code: 'unavailable', message: 'the provider is gone', retryable: true };
  far.log({
    type: 'session.closed',
    reason: 'provider_lost',
    error,
    duration_ms: 1,
    turns: 0,
    tool_calls: 1,
    user_audio_ms: 0,
    reply_audio_ms: 0,
  });
  const end = await told(page, 'call.ended.then(({ reason, error }) => [reason, error.code, error.message])');
  expect(end).toEqual(['provider_lost', 'unavailable', 'the provider is gone']);
  expect(await told(page, 'told.seqs')).toEqual([2, 3, 4, 5]);
  expect(far.closed).toEqual([]);
  expect(complaints).toEqual([]);
});

test('the far end cuts an answer by itself, and the call tells how much of it was heard', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  const playing = [
    { type: 'response.created', response: { id: 'resp_1' } },
    { type: 'output_audio_buffer.started', response_id: 'resp_1' },
  ];
  await far.say(HELLO, ...playing);
  await state(page, 'speaking');
  await far.say(
    { type: 'input_audio_buffer.speech_started', item_id: 'item_2', audio_start_ms: 1 },
    { type: 'output_audio_buffer.cleared', response_id: 'resp_1' },
    { type: 'conversation.item.truncated', item_id: 'item_1', content_index: 0, audio_end_ms: 320 },
    { type: 'response.done', response: { id: 'resp_1', status: 'cancelled', output: [] } },
  );
  await state(page, 'user_speaking');
  expect(await told(page, 'told.cuts')).toEqual([{ itemId: 'item_1', playedMs: 320 }]);
  await far.say({ type: 'input_audio_buffer.speech_stopped', item_id: 'item_2' }, ...playing);
  await state(page, 'speaking');
  // Nothing was asked of a far end that stops by itself; one who interrupts in writing asks for both.
  expect(far.frames).toEqual([]);
  await page.evaluate('call.interrupt()');
  await far.next('output_audio_buffer.clear');
  expect(far.frames.map(({ type }) => type)).toEqual(['response.cancel', 'output_audio_buffer.clear']);
  await page.evaluate('call.hangUp()');
});

test('push-to-talk is heard only while it is pressed, and letting go asks for the answer', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(PUSH_TO_TALK);
  await state(page, 'listening');
  expect(await told(page, 'call.pushToTalk')).toBe(true);
  // What was on its way when the microphone closed has passed.
  await far.hears(500);
  expect(await far.hears(1500)).toBeLessThan(0.001);
  await page.evaluate('call.press()');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('call.release()');
  await far.next('response.create');
  expect(far.frames.map(({ type }) => type)).toEqual([
    'input_audio_buffer.clear',
    'input_audio_buffer.commit',
    'response.create',
  ]);
  expect(await told(page, 'told.microphone')).toEqual([false, true, false]);
  await page.evaluate('call.hangUp()');
});

test('a muted microphone is heard as silence', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.evaluate('call.mute()');
  await far.hears(500);
  expect(await far.hears(1500)).toBeLessThan(0.001);
  await page.evaluate('call.unmute()');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('call.hangUp()');
});

test('a call that was cut off comes back with a new offer, and the microphone with it', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await far.cut();
  await state(page, 'reconnecting');
  far.log({ type: 'client.detached', connection_id: 'c', code: 1006, reason: '' });
  await far.until(() => far.offers === 2);
  await far.say(HELLO);
  await state(page, 'listening');
  far.log({ type: 'client.attached', connection_id: 'd' });
  await page.waitForFunction('window.told.seqs.length === 2');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate("call.sendText('still here')");
  await far.next('conversation.item.create');
  expect(await told(page, 'call.hangUp().then(({ stats }) => stats.reconnections)')).toBe(1);
  expect(complaints).toEqual([]);
});

test('a call whose session ended meanwhile does not come back, and says why', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  far.session = { status: 'closed', close_reason: 'max_duration' };
  await far.cut();
  expect(await told(page, 'call.ended.then(({ reason, error }) => [reason, error])')).toEqual(['max_duration', null]);
  expect(far.offers).toBe(1);
});

test('a call that nobody answers any more ends with the reason', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page, '{ audio: true, reconnectMs: 300 }');
  await far.say(HELLO);
  await state(page, 'listening');
  far.refusal = new ParleyError('unavailable', 'nobody home');
  await far.cut();
  expect(await told(page, 'call.ended.then(({ reason, error }) => [reason, error.message])')).toEqual([
    'connection_lost',
    'nobody home',
  ]);
  expect(complaints).toEqual([]);
});

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

test('microphone and loudspeaker can be changed in the middle of a call', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  const devices = await told<{
    microphones: { id: string; label: string; chosen: boolean }[];
    speakers: { id: string }[];
  }>(page, 'call.devices()');
  expect(devices.microphones.filter(({ chosen }) => chosen)).toHaveLength(1);
  const other = devices.microphones.find(({ chosen }) => !chosen);
  await page.evaluate(`call.setMicrophone('${other?.id}')`);
  const chosen = await told<string>(
    page,
    'call.devices().then(({ microphones }) => microphones.find((one) => one.chosen).id)',
  );
  expect(chosen).toBe(other?.id);
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  const problem = `call.setMicrophone('gone').catch((error) => [error.code, error.details.problem])`;
  expect(await told(page, problem)).toEqual(['not_found', 'microphone_missing']);
  expect(await told(page, `call.setSpeaker('gone').catch((error) => [error.code, error.details.problem])`)).toEqual([
    'not_found',
    'speaker_failed',
  ]);
  if (devices.speakers[0]) await page.evaluate(`call.setSpeaker('${devices.speakers.at(-1)?.id}')`);
  await page.evaluate('call.hangUp()');
});

test('a microphone that is unplugged is replaced, and without another one the page is told', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await page.evaluate(`(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.streams = [];
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      if (window.streams.length === 2) throw new DOMException('none', 'NotFoundError');
      const stream = await real(wanted);
      window.streams.push(stream);
      return stream;
    };
    // Stopping a track tells nothing; a device that goes tells this.
    window.unplug = () => {
      const [track] = window.streams.at(-1).getTracks();
      track.stop();
      track.dispatchEvent(new Event('ended'));
    };
  })()`);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.evaluate('unplug()');
  await page.waitForFunction('window.streams.length === 2');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('unplug()');
  await page.waitForFunction('window.told.errors.length > 0');
  expect(await told(page, 'told.errors.map(([code, problem]) => [code, problem])')).toEqual([
    ['not_found', 'microphone_lost'],
  ]);
  expect(await told(page, 'call.state')).toBe('listening');
  await page.evaluate('call.hangUp()');
  expect(complaints).toEqual([]);
});

test('a page that may not sound yet is told so, and sounds with the next click', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await page.evaluate(`(() => {
    const { play } = HTMLMediaElement.prototype;
    window.elements = [];
    HTMLMediaElement.prototype.play = function () {
      window.elements.push(this);
      if (!window.clicked) return this.pause(), Promise.reject(new DOMException('no gesture', 'NotAllowedError'));
      return play.call(this);
    };
    addEventListener('pointerdown', () => (window.clicked = true), { capture: true });
  })()`);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.waitForFunction('window.told.errors.length > 0');
  expect(await told(page, 'told.errors[0][1]')).toBe('playback_blocked');
  await page.mouse.click(5, 5);
  await page.waitForFunction('!window.elements[0].paused');
  expect(await told(page, 'new Set(elements).size')).toBe(1);
  await page.evaluate('call.hangUp()');
  expect(await told(page, 'elements[0].srcObject')).toBe(null);
  expect(complaints).toEqual([]);
});

test('a token whose time is over ends a call that is cut, and says so', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const until_ms = Date.now() + 3000;
  await start(page, `{ token: 'pst.sess_1.${until_ms.toString(36)}.s', audio: true }`);
  await far.say(HELLO);
  await state(page, 'listening');
  far.plane.route('GET /api/v1/sessions/sess_1', null, () => ({
    status: 401,
    body: new ParleyError('unauthenticated', 'the session token has expired').toBody('req_1'),
  }));
  await page.waitForFunction(`Date.now() > ${until_ms}`);
  await far.cut();
  const end = 'call.ended.then(({ reason, error }) => [reason, error.code, error.details.problem])';
  expect(await told(page, end)).toEqual(['connection_lost', 'unauthenticated', 'token_expired']);
});

test('a page that is left ends its session', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await page.goto('about:blank');
  await far.until(() => far.closed.length > 0);
  expect(far.closed).toEqual([{ reason: 'client_left' }]);
});

function sessionOver(transport: string) {
  return { session_id: 'sess_1', status: 'live', transport, responder: 'model', target: 'support.voice', last_seq: 0 };
}
