// Starting a call: the session is looked up, the audio opened, the socket connected.

import { ParleyError, TIMES } from '@parley/core';
import { ParleyClient } from '../client.ts';
import { pause } from '../http.ts';
import { type ConnectOptions, connectSession, type SessionSocket } from '../session-socket.ts';
import type { AudioSink, CallAudio } from './audio.ts';
import { type BrowserAudioOptions, openBrowserAudio } from './browser-audio.ts';
import { Call } from './call.ts';
import { PacedSink, paced, silence } from './paced.ts';

export interface CallOptions extends Omit<ConnectOptions, 'queueFramesMax'> {
  /**
   * `true`: microphone and loudspeaker of the browser. An object with `source` and `sink`: a program's own audio.
   * `false` or left out: a call in writing, whose answers are counted but heard by nobody.
   */
  audio?: boolean | CallAudio | undefined;
  /** For `audio: true`: which devices, and where the AudioWorklet is loaded from. */
  browser?: BrowserAudioOptions | undefined;
  /** How long a call that was cut off tries to come back, in milliseconds. Default 25 000; 0 ends it at once. */
  reconnectMs?: number | undefined;
}

/**
 * Joins a session as the one who talks.
 *
 * @throws ParleyError `failed_precondition` for a session that ended, `permission_denied` when the microphone was
 * refused, or the server's reason.
 * @example
 * const call = await startCall({ url: location.origin, token, sessionId, audio: true });
 * call.on('transcript', ({ track, text }) => show(track, text));
 * button.onclick = () => call.hangUp();
 */
export async function startCall(options: CallOptions): Promise<Call> {
  const { sessionId, signal } = options;
  const parley = new ParleyClient({
    url: options.url,
    key: options.token ?? options.key,
    timeoutMs: options.timeoutMs,
    retries: 1,
  });
  const session = await parley.sessions.get(sessionId, { signal });
  if (session.status === 'closed') {
    throw new ParleyError(
      'failed_precondition',
      `session ${sessionId} is closed (${session.close_reason ?? 'no reason'})`,
    );
  }
  const audio = await openAudio(options);
  const sink: AudioSink = audio.sink ?? new PacedSink();
  const over = new AbortController();
  try {
    const socket = await connectSession(options);
    const reconnectMs = options.reconnectMs ?? RECONNECT_MS;
    const call = new Call(socket, {
      session,
      sink,
      reopen:
        reconnectMs > 0
          ? async (seq) => {
              const back = await reopen(options, reconnectMs, over.signal);
              const { events } = await parley.sessions.events(sessionId, { after: seq }, { signal: over.signal });
              return { socket: back, missed: events };
            }
          : null,
      closeSession: (reason) => parley.sessions.close(sessionId, reason, { timeoutMs: CLOSE_MS }),
      release: async () => {
        over.abort();
        await audio.close?.();
      },
    });
    signal?.addEventListener('abort', () => void call.hangUp('aborted'), { once: true, signal: over.signal });
    if (audio.source) void pump(call, audio.source, audio.realtime === true, over.signal);
    return call;
  } catch (thrown) {
    await sink.close();
    await audio.close?.();
    throw thrown;
  }
}

/** Below the 30 s for which a session waits for a client that was cut off. */
const RECONNECT_MS = 25_000;

/** Closing the socket ends the session as well: a server that does not answer is not waited for long. */
const CLOSE_MS = 5000;

async function openAudio(options: CallOptions): Promise<CallAudio> {
  if (options.audio === true) return openBrowserAudio(options.browser);
  return typeof options.audio === 'object' ? options.audio : {};
}

/** Speech at the speed of speech; after its end a microphone goes on hearing silence, or the turn is ended. */
async function pump(
  call: Call,
  source: AsyncIterable<Int16Array>,
  realtime: boolean,
  signal: AbortSignal,
): Promise<void> {
  try {
    await live(call, signal);
    for await (const frame of realtime ? source : paced(source, { signal })) {
      if (signal.aborted) return;
      call.hearUser(frame);
    }
    if (signal.aborted) return;
    if (call.pushToTalk) return call.endTurn();
    for await (const frame of paced(silence(), { signal })) call.hearUser(frame);
  } catch (thrown) {
    if (!signal.aborted) await call.fail(ParleyError.from(thrown, 'internal'));
  }
}

/** Nothing of what is said first may be lost: a source that can wait waits until the provider is there. */
function live(call: Call, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || call.state !== 'connecting') return resolve();
    const off = call.on('state', () => {
      off();
      resolve();
    });
  });
}

async function reopen(options: CallOptions, reconnectMs: number, signal: AbortSignal): Promise<SessionSocket> {
  const until_ms = performance.now() + reconnectMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await connectSession({ ...options, signal });
    } catch (thrown) {
      const error = ParleyError.from(thrown, 'unavailable');
      const backoff_ms = Math.min(5000, TIMES.backoff_min_ms * 2 ** attempt);
      if (!error.retryable || performance.now() + backoff_ms > until_ms) throw error;
      await pause(backoff_ms, signal);
    }
  }
}
