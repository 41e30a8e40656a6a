// A call over WebRTC: the audio travels as a media stream, events over the data channel, and the session's log by its
// own stream, which is the same wherever the media ends.

import { ParleyError, type SessionResource } from '@parley/core';
import type { Sessions } from '../sessions.ts';
import { Call } from './call.ts';
import type { Over, Reopened } from './call-parts.ts';
import { expired, type Joined } from './joining.ts';
import { PeerAudio } from './peer-audio.ts';
import { PeerLine, type PeerParts } from './peer-line.ts';
import { PacedSink } from './paced.ts';
import { CLOSE_MS, reconnecting } from './reconnecting.ts';
import { Reports } from './reports.ts';
import type { CallOptions } from './start.ts';

/** Creating the provider's call is part of the answer. */
const OFFER_MS = 20_000;

export async function startPeerCall({ sessions, session, secret }: Joined, options: CallOptions): Promise<Call> {
  if (typeof options.audio === 'object') {
    throw new ParleyError(
      'invalid_argument',
      `${session.target} is declared with the transport webrtc, which carries the browser's own audio (audio: true) ` +
        'or none; a source and a sink travel over websocket',
    );
  }
  const { signal } = options;
  const { session_id } = session;
  const over = new AbortController();
  const reports = new Reports();
  const audio = options.audio === true ? await PeerAudio.open(options.browser ?? {}, reports.report) : null;
  const connect = async (stop: AbortSignal): Promise<PeerLine> => {
    // Asked for each connection: what opens a TURN server is good for a short time.
    const iceServers = options.rtc?.iceServers ?? (await sessions.iceServers(session_id, { signal: stop }));
    return PeerLine.open({ ...options.rtc, iceServers, ...partsOf(sessions, session_id, audio), signal: stop });
  };
  try {
    const line = await connect(signal ? AbortSignal.any([signal, over.signal]) : over.signal);
    const call = new Call(line, {
      session,
      sink: audio?.sink ?? new PacedSink(),
      microphone: audio?.microphone,
      gated: audio !== null,
      devices: audio?.devices,
      reopen: reconnecting(options.reconnectMs, over.signal, async (): Promise<Reopened> => {
        // The far end hangs up when the session is over: that is no cut, and the log says why.
        const now = await sessions.get(session_id, { signal: over.signal }).catch((thrown: unknown) => {
          throw expired(ParleyError.from(thrown), secret);
        });
        if (now.status === 'closed' || now.status === 'closing') return { over: endOf(now) };
        return { line: await connect(over.signal), missed: [] };
      }),
      closeSession: (reason) => sessions.close(session_id, reason, { timeoutMs: CLOSE_MS }),
      release: async () => {
        await audio?.close();
      },
      stop: () => over.abort(),
    });
    reports.tell(call);
    signal?.addEventListener('abort', () => void call.hangUp('aborted'), { once: true, signal: over.signal });
    leaveWithThePage(sessions, session_id, over.signal);
    void follow(call, sessions, session.last_seq, secret, over.signal);
    return call;
  } catch (thrown) {
    over.abort();
    await audio?.close();
    throw thrown;
  }
}

function partsOf(sessions: Sessions, session_id: string, audio: PeerAudio | null): PeerParts {
  return {
    offer: (sdp, signal) => sessions.offer(session_id, sdp, { timeoutMs: OFFER_MS, signal }),
    send: audio ? (sender, signal) => audio.sendOn(sender, signal) : undefined,
    play: audio ? (stream) => audio.play(stream) : undefined,
  };
}

/** The log, live: what it says of tools, of speech and of the end. */
async function follow(
  call: Call,
  sessions: Sessions,
  after: number,
  secret: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const event of sessions.tail(call.session.session_id, { after, signal })) call.hearLog(event);
  } catch (thrown) {
    // The call can be heard without its log; its end is then found when the line ends.
    if (!signal.aborted) call.report(expired(ParleyError.from(thrown, 'unavailable'), secret));
  }
}

function endOf(session: SessionResource): Over {
  const { error } = session;
  return { reason: session.close_reason ?? 'closed', error: error ? ParleyError.from(error) : null };
}

// A socket is closed by the browser when its page goes, a peer connection only falls silent.
function leaveWithThePage(sessions: Sessions, session_id: string, signal: AbortSignal): void {
  if (typeof addEventListener === 'undefined') return;
  const leave = (): void => {
    // Nobody is there any more who could be told of a failure; the server then waits for the client to come back.
    sessions.close(session_id, 'client_left', { keepalive: true }).catch(() => undefined);
  };
  addEventListener('pagehide', leave, { signal });
}
