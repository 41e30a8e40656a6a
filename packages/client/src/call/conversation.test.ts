import { ParleyError } from '@parley/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Emitter } from '../emitter.ts';
import type { SessionSocket } from '../session-socket.ts';
import type { Connection } from './connection.ts';
import { encodePcm } from '../pcm.ts';
import { Conversation } from './conversation.ts';
import type { CallEvents } from './events.ts';
import { PacedSink } from './paced.ts';
import type { PeerLine } from './peer-line.ts';
import { Tally } from './tally.ts';
import { UserAudio } from './user-audio.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A conversation over a line of this kind, with a microphone that travels by itself. */
function conversationOver(path: 'webrtc' | 'websocket', sends: Partial<PeerLine | SessionSocket> = {}) {
  const tally = new Tally();
  const sink = new PacedSink();
  const emitter = new Emitter<CallEvents>();
  const line = { path, ...sends } as PeerLine | SessionSocket;
  const microphone = { listen: () => undefined, level: 0 };
  let over = false;
  const conversation = new Conversation({
    path,
    responder: 'model',
    sink,
    user: new UserAudio({ microphone, gated: true, tally, changed: () => undefined }),
    tally,
    emitter,
    connection: () => ({ line }) as Connection,
    over: () => over,
    failed: () => undefined,
  });
  return { conversation, tally, emitter, sink, hangUp: () => (over = true) };
}

test('over WebRTC both sides are counted by the clock, and nothing of it once the call is over', () => {
  const { conversation, tally, hangUp } = conversationOver('webrtc');
  vi.advanceTimersByTime(300);
  conversation.receive({ type: 'session.created', session: {} });
  vi.advanceTimersByTime(1000);
  conversation.receive({ type: 'output_audio_buffer.started', response_id: 'resp_1' });
  vi.advanceTimersByTime(500);
  conversation.look();
  expect(tally.stats).toMatchObject({ userAudioMs: 1500, replyAudioMs: 500 });
  // The microphone is let go; the server is given a while to close the session.
  hangUp();
  vi.advanceTimersByTime(4000);
  conversation.look();
  expect(tally.stats).toMatchObject({ userAudioMs: 1500, replyAudioMs: 500 });
});

test('over a WebSocket only what was sent is counted', () => {
  const { conversation, tally } = conversationOver('websocket');
  conversation.receive({ type: 'session.created', session: {} });
  vi.advanceTimersByTime(1000);
  conversation.look();
  expect(tally.stats).toMatchObject({ userAudioMs: 0, replyAudioMs: 0 });
});

test('over a full data channel a cut that the user’s words ask for is told as an error, and the call goes on', () => {
  const full = (): never => {
    throw new ParleyError('resource_exhausted', 'over 1 bytes wait to be sent; response.cancel was not sent');
  };
  const { conversation, emitter } = conversationOver('webrtc', { cancel: full, send: full });
  const errors: ParleyError[] = [];
  const frames: string[] = [];
  emitter.on('error', (error) => errors.push(error));
  emitter.on('frame', ({ type }) => frames.push(type));
  conversation.receive({ type: 'session.created', session: {} });
  conversation.receive({ type: 'response.created', response: { id: 'resp_1' } });
  conversation.receive({ type: 'output_audio_buffer.started', response_id: 'resp_1' });
  expect(conversation.state).toBe('speaking');
  conversation.receive({ type: 'input_audio_buffer.speech_started' });
  expect(errors.map(({ code }) => code)).toEqual(['resource_exhausted']);
  expect(frames.at(-1)).toBe('input_audio_buffer.speech_started');
  // The far end goes on speaking until it hears of it; what it says then is heard as ever.
  conversation.receive({ type: 'output_audio_buffer.stopped', response_id: 'resp_1' });
  conversation.receive({ type: 'response.done', response: { id: 'resp_1', status: 'completed', output: [] } });
  conversation.receive({ type: 'input_audio_buffer.speech_stopped' });
  expect(conversation.state).toBe('thinking');
});

test('a socket that takes nothing any more does not keep the answer from falling silent', () => {
  const closed = (): never => {
    throw new ParleyError('failed_precondition', 'the socket is closed; response.cancel was not sent');
  };
  const { conversation, emitter, sink, tally } = conversationOver('websocket', { cancel: closed, truncate: closed });
  const errors: string[] = [];
  const interruptions: string[] = [];
  emitter.on('error', ({ code }) => errors.push(code));
  emitter.on('interruption', ({ itemId }) => interruptions.push(itemId));
  conversation.receive({ type: 'session.created', session: {} });
  conversation.receive({ type: 'response.created', response: { id: 'resp_1' } });
  const delta = encodePcm(new Int16Array(24_000));
  conversation.receive({ type: 'response.output_audio.delta', response_id: 'resp_1', item_id: 'item_1', delta });
  vi.advanceTimersByTime(200);
  expect(sink.pendingMs).toBeGreaterThan(0);
  conversation.receive({ type: 'input_audio_buffer.speech_started' });
  expect(sink.pendingMs).toBe(0);
  expect(errors).toEqual(['failed_precondition']);
  expect(interruptions).toEqual(['item_1']);
  expect(tally.stats.interruptions).toBe(1);
  // Who asks for a cut is told itself.
  conversation.receive({ type: 'response.created', response: { id: 'resp_2' } });
  expect(() => conversation.cut(true)).toThrow('the socket is closed');
});
