import { ParleyError, type SessionResource } from '@parley/core';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { FakeControlPlane, sessionResource } from '../control-plane.test.fake.ts';
import { encodePcm } from '../pcm.ts';
import { PacedSink } from './paced.ts';
import { type CallOptions, startCall } from './start.ts';

type Frame = Record<string, unknown> & { type: string };

/** One realtime conversation at the provider's end. */
class Conversation {
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #socket: WebSocket;
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    socket.on('message', (data) => {
      this.frames.push(JSON.parse((data as Buffer).toString()) as Frame);
      this.#wake();
    });
  }

  say(...frames: Frame[]): void {
    for (const frame of frames) this.#socket.send(JSON.stringify(frame));
  }

  hello(turn_detection: unknown = { type: 'server_vad', interrupt_response: true }): void {
    this.say({ type: 'session.created', session: { audio: { input: { turn_detection } } } });
  }

  answer(ms: number): void {
    const delta = encodePcm(new Int16Array(24 * ms).fill(1000));
    this.say(
      { type: 'response.created', response: { id: 'resp_1' } },
      { type: 'response.output_audio.delta', response_id: 'resp_1', item_id: 'item_1', delta },
    );
  }

  done(): void {
    this.say({ type: 'response.done', response: { id: 'resp_1', status: 'completed', output: [] } });
  }

  async next(type: string): Promise<Frame> {
    for (;;) {
      const frame = this.frames.find((one) => one.type === type);
      if (frame) return frame;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  cut(): void {
    this.#socket.terminate();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
}

async function callWith(
  peer: FakeControlPlane,
  meet: (conversation: Conversation) => void,
  options: Partial<CallOptions> = {},
  session: Partial<SessionResource> = {},
) {
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({
    body: sessionResource('sess_1', session),
    is: 'SessionResource',
  }));
  peer.route('POST /api/v1/sessions/sess_1/close', 'CloseRequest', () => ({
    body: sessionResource('sess_1', { status: 'closed' }),
    is: 'SessionResource',
  }));
  const conversations: Conversation[] = [];
  peer.socket = (socket) => {
    const conversation = new Conversation(socket);
    conversations.push(conversation);
    meet(conversation);
  };
  const call = await startCall({ url: peer.url, sessionId: 'sess_1', token: 'tok', ...options });
  return { call, conversations, conversation: conversations[0] as Conversation };
}

async function* speech(ms: number) {
  yield new Int16Array(24 * ms).fill(2000);
}

test('speech goes out, the answer is heard and counted, and both sides are hung up', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello(), { audio: { source: speech(100) } });
  const states: string[] = [];
  call.on('state', (state) => states.push(state));
  await conversation.next('input_audio_buffer.append');
  conversation.say({ type: 'input_audio_buffer.speech_started' }, { type: 'input_audio_buffer.speech_stopped' });
  conversation.answer(120);
  conversation.done();
  await new Promise<void>((resolve) => call.on('frame', (frame) => frame.type === 'response.done' && resolve()));
  await call.quiet();
  const end = await call.hangUp('enough');
  expect(states).toEqual(['listening', 'user_speaking', 'thinking', 'speaking', 'listening', 'ended']);
  expect(end).toMatchObject({ reason: 'enough', error: null, stats: { replyAudioMs: 120, interruptions: 0 } });
  expect(end.stats.userAudioMs).toBeGreaterThanOrEqual(100);
  expect((call.sink as PacedSink).recording()).toHaveLength(24 * 120);
  expect(peer.asked.at(-1)).toMatchObject({ path: '/api/v1/sessions/sess_1/close', body: { reason: 'enough' } });
});

test('speech over an answer silences it, and tells the provider what was heard of it', async () => {
  await using peer = await FakeControlPlane.start();
  let begin: () => void = () => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const sink = new PacedSink({ onHeard: () => begin() });
  const { call, conversation } = await callWith(peer, (one) => one.hello(), { audio: { sink } });
  conversation.answer(5000);
  await begun;
  conversation.say({ type: 'input_audio_buffer.speech_started' });
  const cut = await new Promise<{ itemId: string; playedMs: number }>((resolve) => call.on('interruption', resolve));
  const truncate = await conversation.next('conversation.item.truncate');
  expect(truncate).toMatchObject({ item_id: 'item_1', content_index: 0, audio_end_ms: Math.floor(cut.playedMs) });
  expect(cut.playedMs).toBeGreaterThan(0);
  expect(cut.playedMs).toBeLessThan(5000);
  expect(sink.pendingMs).toBe(0);
  expect(conversation.frames.map((frame) => frame.type)).not.toContain('response.cancel');
  await call.hangUp();
  expect(call.stats.interruptions).toBe(1);
});

test('an answer that was heard to its end is not truncated by the next words', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  conversation.answer(40);
  conversation.done();
  await new Promise<void>((resolve) => call.on('frame', (frame) => frame.type === 'response.done' && resolve()));
  await call.quiet();
  conversation.say({ type: 'input_audio_buffer.speech_started' });
  await new Promise<void>((resolve) => call.on('state', (state) => state === 'user_speaking' && resolve()));
  call.sendText('marker');
  await conversation.next('conversation.item.create');
  expect(conversation.frames.map((frame) => frame.type)).not.toContain('conversation.item.truncate');
  await call.hangUp();
});

test('interrupt() cancels the answer that is being generated, and nothing when there is none', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  call.interrupt();
  conversation.say({ type: 'response.created', response: { id: 'resp_1' } });
  await new Promise<void>((resolve) => call.on('frame', (frame) => frame.type === 'response.created' && resolve()));
  call.interrupt();
  await conversation.next('response.cancel');
  expect(conversation.frames.map((frame) => frame.type)).toEqual(['response.cancel']);
  await call.hangUp();
});

test('who answers a text is asked by whoever may: a handler is not asked twice', async () => {
  await using peer = await FakeControlPlane.start();
  const model = await callWith(peer, (one) => one.hello());
  model.call.sendText('Hello');
  await model.conversation.next('response.create');
  await model.call.hangUp();
  const handler = await callWith(peer, (one) => one.hello(), {}, { responder: 'handler' });
  handler.call.sendText('Hello');
  handler.call.interrupt();
  await handler.conversation.next('conversation.item.create');
  await handler.call.hangUp();
  expect(handler.conversation.frames.map((frame) => frame.type)).toEqual(['conversation.item.create']);
});

test('without turn detection the end of the source ends the turn', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello(null), { audio: { source: speech(40) } });
  await conversation.next('response.create');
  expect(conversation.frames.map((frame) => frame.type)).toEqual([
    'input_audio_buffer.append',
    'input_audio_buffer.append',
    'input_audio_buffer.commit',
    'response.create',
  ]);
  await call.hangUp();
});

test('a live microphone without turn detection is heard only while it is pressed', async () => {
  await using peer = await FakeControlPlane.start();
  // A microphone whose pieces the test hands over itself.
  const source = new ReadableStream<Int16Array>();
  const heard: string[] = [];
  const { call, conversation } = await callWith(peer, (one) => one.hello(null), { audio: { source, realtime: true } });
  call.on('microphone', ({ open }) => heard.push(open ? 'open' : 'closed'));
  await new Promise<void>((resolve) => call.on('state', () => resolve()));
  call.hearUser(Int16Array.of(1));
  call.press();
  call.press();
  call.hearUser(Int16Array.of(2));
  call.release();
  call.hearUser(Int16Array.of(3));
  await conversation.next('response.create');
  expect(conversation.frames.map(({ type, audio }) => audio ?? type)).toEqual([
    'input_audio_buffer.clear',
    encodePcm(Int16Array.of(2)),
    'input_audio_buffer.commit',
    'response.create',
  ]);
  expect(heard).toEqual(['closed', 'open', 'closed']);
  await call.hangUp();
});

test('where turns are found by themselves, a pressed button opens a muted microphone', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  await new Promise<void>((resolve) => call.on('state', () => resolve()));
  call.mute();
  call.press();
  expect([call.muted, call.pressed]).toEqual([false, true]);
  call.release();
  expect([call.muted, call.pressed]).toEqual([true, false]);
  call.sendText('marker');
  await conversation.next('conversation.item.create');
  expect(conversation.frames[0]?.type).toBe('conversation.item.create');
  await call.hangUp();
});

test('a target is started for its call, and ended when the call does not come about', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('POST /api/v1/sessions/support.voice/start', 'StartRequest', () => ({
    status: 201,
    body: { session_id: 'sess_1', client_token: 'pst.sess_1.zzzzzzzzz.s' },
  }));
  const { call } = await callWith(peer, (one) => one.hello(), { target: 'support.voice', sessionId: undefined });
  expect(peer.asked[0]).toMatchObject({ method: 'POST', headers: { authorization: 'Bearer tok' } });
  expect(peer.asked[1]?.headers.authorization).toBe('Bearer pst.sess_1.zzzzzzzzz.s');
  await call.hangUp();
  peer.socket = { status: 503 };
  await expect(startCall({ url: peer.url, key: 'k', target: 'support.voice' })).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(peer.asked.at(-1)).toMatchObject({ path: '/api/v1/sessions/sess_1/close', body: { reason: 'not_joined' } });
});

test('a session over WebRTC that is called from where there is none says what to do', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({ body: sessionResource('sess_1', { transport: 'webrtc' }) }));
  peer.route('GET /api/v1/sessions/sess_1/realtime-call', null, () => ({ body: { ice_servers: [] } }));
  await expect(startCall({ url: peer.url, sessionId: 'sess_1' })).rejects.toMatchObject({
    code: 'failed_precondition',
    details: { problem: 'webrtc_missing' },
  });
});

test('a muted microphone sends silence', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  await new Promise<void>((resolve) => call.on('state', () => resolve()));
  call.mute();
  call.hearUser(Int16Array.of(5, 5));
  call.mute(false);
  call.hearUser(Int16Array.of(5, 5));
  await conversation.next('input_audio_buffer.append');
  call.sendText('marker');
  await conversation.next('conversation.item.create');
  const audio = conversation.frames.slice(0, 2).map((frame) => frame['audio']);
  expect(audio).toEqual([encodePcm(Int16Array.of(0, 0)), encodePcm(Int16Array.of(5, 5))]);
  await call.hangUp();
});

test('a call that was cut off comes back, and is told what it missed', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1/events', null, ({ query }) => {
    const events = [3, 4].map((seq) => ({ seq, at_ms: seq, type: 'handler.completed' }));
    return {
      body: { events: events.filter(({ seq }) => seq > Number(query.get('after'))), last_seq: 4, has_more: false },
      is: 'EventList',
    };
  });
  const { call, conversations } = await callWith(peer, (one) => one.hello());
  const seqs: number[] = [];
  call.on('event', (event) => seqs.push(event.seq));
  const back = new Promise<void>((resolve) => {
    let lost = false;
    call.on('state', (state) => {
      if (state === 'reconnecting') lost = true;
      else if (lost && state === 'listening') resolve();
    });
  });
  conversations[0]?.say({ type: 'parley.event', event: { seq: 3, at_ms: 3, type: 'handler.completed' } });
  await new Promise<void>((resolve) => call.on('event', () => resolve()));
  conversations[0]?.cut();
  await back;
  expect(conversations).toHaveLength(2);
  expect(seqs).toEqual([3, 4]);
  call.sendText('still here');
  await conversations[1]?.next('conversation.item.create');
  await call.hangUp();
});

test('a late call that was cut off before an entry came is told what came since it joined, and not the whole log', async () => {
  await using peer = await FakeControlPlane.start();
  const asked: number[] = [];
  peer.route('GET /api/v1/sessions/sess_1/events', null, ({ query }) => {
    const after = Number(query.get('after'));
    asked.push(after);
    const events = [{ seq: after + 1, at_ms: 1, type: 'handler.completed' }];
    return { body: { events, last_seq: 5001, has_more: after + 1 < 5001 }, is: 'EventList' };
  });
  const { call, conversations } = await callWith(peer, (one) => one.hello(), {}, { last_seq: 5000 });
  const seqs: number[] = [];
  const told = new Promise<void>((resolve) => {
    call.on('event', ({ seq }) => {
      seqs.push(seq);
      resolve();
    });
  });
  conversations[0]?.cut();
  await told;
  expect(seqs).toEqual([5001]);
  expect(asked).toEqual([5000]);
  await call.hangUp();
});

test('a call that nobody takes up again ends with the reason', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello(), { reconnectMs: 1 });
  peer.socket = { status: 503 };
  conversation.cut();
  expect(await call.ended).toMatchObject({ reason: 'connection_lost', error: { code: 'unavailable' } });
});

test('a connection that breaks again and again is given up', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1/events', null, () => ({
    body: { events: [], last_seq: 0, has_more: false },
  }));
  const { call, conversations } = await callWith(
    peer,
    (one) => {
      one.hello();
      // Taken, and dropped once it was told that it is there.
      setTimeout(() => one.cut(), 20);
    },
    { reconnectMs: 150 },
  );
  expect(await call.ended).toMatchObject({
    reason: 'connection_lost',
    error: { code: 'unavailable', details: { problem: 'connection_lost' } },
  });
  expect(conversations.length).toBeGreaterThan(2);
  expect(call.stats.reconnections).toBe(conversations.length - 1);
});

test('hanging up while the connection is lost ends the call', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  peer.socket = { status: 503 };
  const lost = new Promise<void>((resolve) => call.on('state', (state) => state === 'reconnecting' && resolve()));
  conversation.cut();
  await lost;
  let ends = 0;
  call.on('end', () => (ends += 1));
  expect(await call.hangUp()).toMatchObject({ reason: 'hung_up', error: null });
  expect(ends).toBe(1);
});

test('a call that the server ended for good is over, with the reason, and does not come back', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversations } = await callWith(peer, (one) => one.hello());
  conversations[0]?.say({ type: 'error', error: { code: 'session_expired', message: 'too long' } });
  expect(await new Promise((resolve) => call.on('error', resolve))).toMatchObject({
    details: { code: 'session_expired' },
  });
  conversations[0]?.close(4510, 'another connection took over this call');
  expect(await call.ended).toMatchObject({
    reason: 'another connection took over this call',
    error: { code: 'aborted' },
  });
  expect(conversations).toHaveLength(1);
});

test('quiet() waits for as long as was asked, and an abort ends the wait', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  conversation.say({ type: 'response.created', response: { id: 'resp_1' } });
  await new Promise<void>((resolve) => call.on('state', (state) => state === 'thinking' && resolve()));
  await expect(call.quiet({ signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'deadline_exceeded' });
  conversation.done();
  await call.quiet({ forMs: 120 });
  expect(call.state).toBe('listening');
  await call.hangUp();
  await call.quiet();
});

test('a source that fails ends the call with its error', async () => {
  await using peer = await FakeControlPlane.start();
  async function* broken(): AsyncGenerator<Int16Array> {
    yield new Int16Array(480);
    throw new Error('unplugged');
  }
  const { call } = await callWith(peer, (one) => one.hello(), { audio: { source: broken() } });
  const errors: string[] = [];
  call.on('error', (error) => errors.push(error.message));
  expect(await call.ended).toMatchObject({ reason: 'internal', error: { message: 'unplugged' } });
  expect(errors).toEqual(['unplugged']);
});

test('a session that is closed cannot be called', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({
    body: sessionResource('sess_1', { status: 'closed', close_reason: 'idle_timeout' }),
  }));
  await expect(startCall({ url: peer.url, sessionId: 'sess_1' })).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('idle_timeout') as string,
  });
});

test('hanging up with more words than a close frame can hold ends the call', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  const closed = conversation.closed;
  const reason = 'до свидания, '.repeat(10);
  expect(await call.hangUp(reason)).toMatchObject({ reason, error: null });
  expect(await closed).toMatchObject({ code: 1000, reason: reason.slice(0, 69) });
});

test('a loudspeaker that cannot be closed does not keep the microphone open', async () => {
  await using peer = await FakeControlPlane.start();
  let released = false;
  const sink = new PacedSink();
  sink.close = () => Promise.reject(new Error('the driver hangs'));
  const close = async (): Promise<void> => void (released = true);
  const { call } = await callWith(peer, (one) => one.hello(), { audio: { sink, close } });
  const errors: string[] = [];
  call.on('error', (error) => errors.push(error.message));
  expect(await call.hangUp()).toMatchObject({ reason: 'hung_up', error: null });
  expect(released).toBe(true);
  expect(errors).toEqual(['the driver hangs']);
});

test('a call that does not come about keeps its own reason, whatever its loudspeaker does', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({ body: sessionResource('sess_1'), is: 'SessionResource' }));
  peer.socket = { status: 503 };
  let released = false;
  const sink = new PacedSink();
  sink.close = () => Promise.reject(new Error('the driver hangs'));
  const close = async (): Promise<void> => void (released = true);
  const call = startCall({ url: peer.url, sessionId: 'sess_1', token: 'tok', audio: { sink, close } });
  await expect(call).rejects.toMatchObject({ code: 'unavailable' });
  expect(released).toBe(true);
});

test('a connection whose missed entries cannot be had is closed before another one is tried', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1/events', null, () => {
    throw new ParleyError('permission_denied', 'not yours');
  });
  const { call, conversations } = await callWith(peer, (one) => one.hello());
  conversations[0]?.cut();
  expect(await call.ended).toMatchObject({ reason: 'connection_lost', error: { code: 'permission_denied' } });
  expect(conversations).toHaveLength(2);
  expect(await conversations[1]?.closed).toMatchObject({ reason: 'the missed entries could not be had' });
});

test('a call that missed more than a page of the log is told all of it', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1/events', null, ({ query }) => {
    const after = Number(query.get('after'));
    const events = [1, 2].map((n) => ({ seq: after + n, at_ms: 1, type: 'handler.completed' }));
    return { body: { events, last_seq: 6, has_more: after + 2 < 6 }, is: 'EventList' };
  });
  const { call, conversations } = await callWith(peer, (one) => one.hello());
  const seqs: number[] = [];
  const reached = (last: number) =>
    new Promise<void>((resolve) => call.on('event', ({ seq }) => seq === last && resolve()));
  call.on('event', ({ seq }) => seqs.push(seq));
  const missed = reached(6);
  const live = reached(7);
  conversations[0]?.cut();
  await missed;
  conversations[1]?.say({ type: 'parley.event', event: { seq: 7, at_ms: 1, type: 'handler.completed' } });
  await live;
  expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  await call.hangUp();
});

test('a sink that fails ends the call with its error, as a source does', async () => {
  await using peer = await FakeControlPlane.start();
  const sink = new PacedSink();
  sink.write = () => {
    throw new Error('the loudspeaker is gone');
  };
  const { call, conversation } = await callWith(peer, (one) => one.hello(), { audio: { sink } });
  conversation.answer(40);
  expect(await call.ended).toMatchObject({ reason: 'internal', error: { message: 'the loudspeaker is gone' } });
});

test('audio that is none is told, and the call goes on', async () => {
  await using peer = await FakeControlPlane.start();
  const { call, conversation } = await callWith(peer, (one) => one.hello());
  conversation.say({ type: 'response.output_audio.delta', response_id: 'r', item_id: 'i', delta: 'no base64 !' });
  expect(await new Promise((resolve) => call.on('error', resolve))).toMatchObject({ code: 'data_loss' });
  conversation.answer(40);
  conversation.done();
  await new Promise<void>((resolve) => call.on('frame', (frame) => frame.type === 'response.done' && resolve()));
  await call.quiet();
  expect((call.sink as PacedSink).recording()).toHaveLength(24 * 40);
  await call.hangUp();
});

test('what a source says first waits for the provider, also where the first connection is cut', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions/sess_1/events', null, () => ({
    body: { events: [], last_seq: 0, has_more: false },
    is: 'EventList',
  }));
  let met = 0;
  const { call, conversations } = await callWith(
    peer,
    (one) => {
      met += 1;
      // A frame, so that the first connection is taken; what says that the provider is there comes on the second.
      if (met === 1) one.say({ type: 'rate_limits.updated' });
      else setTimeout(() => one.hello(null), 60);
    },
    { audio: { source: speech(40) } },
  );
  const lost = new Promise<void>((resolve) => call.on('state', (state) => state === 'reconnecting' && resolve()));
  conversations[0]?.cut();
  await lost;
  await new Promise<void>((resolve) => call.on('frame', (frame) => frame.type === 'session.created' && resolve()));
  await conversations[1]?.next('input_audio_buffer.commit');
  expect(conversations[1]?.frames.map(({ type }) => type).slice(0, 2)).toEqual([
    'input_audio_buffer.append',
    'input_audio_buffer.append',
  ]);
  await call.hangUp();
});
