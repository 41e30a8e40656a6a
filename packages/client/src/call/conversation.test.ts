import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Emitter } from '../emitter.ts';
import type { SessionSocket } from '../session-socket.ts';
import type { Connection } from './connection.ts';
import { Conversation } from './conversation.ts';
import type { CallEvents } from './events.ts';
import { PacedSink } from './paced.ts';
import type { PeerLine } from './peer-line.ts';
import { Tally } from './tally.ts';
import { UserAudio } from './user-audio.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A conversation over a line of this kind, with a microphone that travels by itself. */
function conversationOver(path: 'webrtc' | 'websocket') {
  const tally = new Tally();
  const emitter = new Emitter<CallEvents>();
  const line = { path } as PeerLine | SessionSocket;
  const microphone = { listen: () => undefined, level: 0 };
  let over = false;
  const conversation = new Conversation({
    path,
    responder: 'model',
    sink: new PacedSink(),
    user: new UserAudio({ microphone, gated: true, tally, changed: () => undefined }),
    tally,
    emitter,
    connection: () => ({ line }) as Connection,
    over: () => over,
    failed: () => undefined,
  });
  return { conversation, tally, hangUp: () => (over = true) };
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
