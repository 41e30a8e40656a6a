// Starting a call: the session is looked up, the audio opened, the line connected that the session declares.

import { ParleyError } from '@parley/core';
import type { CallAudio } from './audio.ts';
import type { BrowserAudioOptions } from './browser-audio.ts';
import type { Call } from './call.ts';
import { type CallTarget, expired, type Joined, join } from './joining.ts';
import type { PeerOptions } from './peer-line.ts';
import { type CallProblem, callProblemOf } from './problems.ts';
import { CLOSE_MS } from './reconnecting.ts';
import { startPeerCall } from './start-peer.ts';
import { startSocketCall } from './start-socket.ts';

export interface CallOptions extends CallTarget {
  /** The control plane, `http://127.0.0.1:7700`. */
  url: string;
  /**
   * `true`: microphone and loudspeaker of the browser. An object with `source` and `sink`: a program's own audio, over
   * websocket. `false` or left out: a call in writing, whose answers are counted but heard by nobody.
   */
  audio?: boolean | CallAudio | undefined;
  /** For `audio: true`: which devices, and where the AudioWorklet is loaded from. */
  browser?: BrowserAudioOptions | undefined;
  /** For sessions over WebRTC: STUN and TURN, and how long things may take. */
  rtc?: PeerOptions | undefined;
  /**
   * Another session to call where WebRTC is not to be had: no WebRTC in this browser, no way through the firewall, or
   * no channel. It is declared with the transport websocket; the one before is closed. Nothing is switched: a session
   * keeps the transport that it declares.
   */
  fallback?: (() => CallTarget | Promise<CallTarget>) | undefined;
  /** How long a call that was cut off tries to come back, in milliseconds. Default 25 000; 0 ends it at once. */
  reconnectMs?: number | undefined;
  /** How long a request may take, in milliseconds. Default 10 000. */
  timeoutMs?: number | undefined;
  /** Audio that cannot leave is dropped past this many bytes in the socket's buffer. Default 1 MiB. */
  sendBufferBytesMax?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Problems after which another session over another transport may do. */
const WITHOUT_WEBRTC: readonly (CallProblem | null)[] = [
  'webrtc_missing',
  'ice_failed',
  'dtls_failed',
  'channel_failed',
];

/**
 * Joins a session as the one who talks: over WebRTC or a WebSocket, as the session declares.
 *
 * @throws ParleyError `failed_precondition` for a session that ended, `permission_denied` when the microphone was
 * refused, `unavailable` where no way for the audio was found, or the server's reason. `callProblemOf(error)` names it.
 * @example
 * const call = await startCall({ url: location.origin, token, audio: true });
 * call.on('transcript', ({ track, text }) => show(track, text));
 * button.onclick = () => call.hangUp();
 */
export async function startCall(options: CallOptions): Promise<Call> {
  const joined = await join(options);
  try {
    const { transport } = joined.session;
    return await (transport === 'webrtc' ? startPeerCall(joined, options) : startSocketCall(joined, options));
  } catch (thrown) {
    const error = expired(ParleyError.from(thrown), joined.secret);
    const { fallback, ...rest } = options;
    const goesOn = fallback !== undefined && WITHOUT_WEBRTC.includes(callProblemOf(error));
    if (joined.started || goesOn) await abandon(joined, goesOn ? 'webrtc_unavailable' : 'not_joined');
    if (!goesOn) throw error;
    const before = { token: undefined, sessionId: undefined, target: undefined, start: undefined };
    return startCall({ ...rest, ...before, ...(await fallback()) });
  }
}

// The reason why the call did not come about is what its starter has to hear, and not that this failed as well; a
// session that nobody joins ends by itself.
async function abandon({ sessions, session }: Joined, reason: string): Promise<void> {
  await sessions.close(session.session_id, reason, { timeoutMs: CLOSE_MS }).catch(() => undefined);
}
