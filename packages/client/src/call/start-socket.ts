// A call over a WebSocket: the audio travels in frames.

import { type EventRecord, ParleyError } from '@parley/core';
import { type ConnectOptions, connectSession } from '../session-socket.ts';
import type { Sessions } from '../sessions.ts';
import type { AudioSink, CallAudio, ReportProblem } from './audio.ts';
import { openBrowserAudio } from './browser-audio.ts';
import { Call } from './call.ts';
import type { Joined } from './joining.ts';
import { PacedSink, paced, silence } from './paced.ts';
import { CLOSE_MS, reconnecting } from './reconnecting.ts';
import { releaseAudio } from './release.ts';
import { Reports } from './reports.ts';
import type { CallOptions } from './start.ts';

export async function startSocketCall({ sessions, session, secret }: Joined, options: CallOptions): Promise<Call> {
  const { signal } = options;
  const { session_id } = session;
  const reports = new Reports();
  const audio = await openAudio(options, reports.report);
  const sink: AudioSink = audio.sink ?? new PacedSink();
  const release = async (): Promise<void> => audio.close?.();
  const over = new AbortController();
  const connection: ConnectOptions = {
    url: options.url,
    sessionId: session_id,
    key: secret,
    timeoutMs: options.timeoutMs,
    sendBufferBytesMax: options.sendBufferBytesMax,
  };
  try {
    const line = await connectSession({ ...connection, signal });
    const call = new Call(line, {
      session,
      sink,
      gated: audio.realtime === true,
      devices: audio.devices,
      reopen: reconnecting(options.reconnectMs, over.signal, async (heard) => {
        // Where nothing came yet: what was there when it joined is as little news now as it was then.
        const seq = heard || session.last_seq;
        const back = await connectSession({ ...connection, signal: over.signal });
        try {
          return { line: back, missed: await missedSince(sessions, session_id, seq, over.signal) };
        } catch (thrown) {
          // Not a hang-up, which would end the session: the next try may bring more.
          back.close(ParleyError.from(thrown, 'unavailable').closeCode, 'the missed entries could not be had');
          throw thrown;
        }
      }),
      closeSession: (reason) => sessions.close(session_id, reason, { timeoutMs: CLOSE_MS }),
      release,
      stop: () => over.abort(),
    });
    reports.tell(call);
    signal?.addEventListener('abort', () => void call.hangUp('aborted'), { once: true, signal: over.signal });
    if (audio.source) void pump(call, audio.source, audio.realtime === true, over.signal);
    return call;
  } catch (thrown) {
    // Why the call did not come about is what its starter has to hear, and not that this failed as well.
    await releaseAudio({ sink, release });
    throw thrown;
  }
}

/** The entries of the log after `seq`, page by page. */
async function missedSince(sessions: Sessions, id: string, seq: number, signal: AbortSignal): Promise<EventRecord[]> {
  const missed: EventRecord[] = [];
  for (;;) {
    const page = await sessions.events(id, { after: missed.at(-1)?.seq ?? seq }, { signal });
    missed.push(...page.events);
    if (!page.has_more || page.events.length === 0) return missed;
  }
}

async function openAudio(options: CallOptions, report: ReportProblem): Promise<CallAudio> {
  if (options.audio === true) return openBrowserAudio(options.browser, report);
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
    const there = (): boolean => signal.aborted || (call.state !== 'connecting' && call.state !== 'reconnecting');
    if (there()) return resolve();
    const off = call.on('state', () => {
      if (!there()) return;
      off();
      resolve();
    });
  });
}
