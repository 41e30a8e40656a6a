// What a call is put together from: by `start-socket.ts` over a WebSocket, by `start-peer.ts` over WebRTC.

import type { EventRecord, ParleyError, SessionResource } from '@parley/core';
import type { SessionSocket } from '../session-socket.ts';
import type { AudioSink, TrackMicrophone } from './audio.ts';
import type { DeviceChoice } from './devices.ts';
import type { PeerLine } from './peer-line.ts';

export type CallLine = SessionSocket | PeerLine;

/** Why something is over; `error` is null when somebody ended it. */
export interface Over {
  reason: string;
  error: ParleyError | null;
}

/** A connection that was made again, or the end of the session that was found instead. */
export type Reopened = { line: CallLine; missed: EventRecord[] } | { over: Over };

/** Opens the line again after it was cut, and brings the entries of the log after `seq`. */
export type Reopen = (seq: number) => Promise<Reopened>;

export interface CallParts {
  session: SessionResource;
  sink: AudioSink;
  /** A microphone that travels by itself; one that is `hearUser` needs none. */
  microphone?: TrackMicrophone | undefined;
  /** There is a live microphone, which a session without turn detection hears only while it is pressed. */
  gated: boolean;
  devices?: DeviceChoice | undefined;
  /** Null to end with the line instead. */
  reopen: Reopen | null;
  /** Ends the session on the server. */
  closeSession: (reason: string) => Promise<unknown>;
  /** Releases the audio. */
  release: () => Promise<void>;
  /** Stops whatever else goes on beside the call. */
  stop: () => void;
}
