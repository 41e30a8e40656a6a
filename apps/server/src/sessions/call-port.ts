// The place of a session where its WebRTC call is, whoever terminates the media.

import type { CallResource } from '@parley/core';

export type CallStatus = Pick<CallResource, 'status' | 'connection_id' | 'provider_call_id'>;

export interface CallPort {
  readonly status: CallStatus;
  /**
   * Answers a client's SDP offer. The newest offer takes over from a call that is there.
   * @throws ParleyError `invalid_argument` (not an offer that can be answered), and what the provider refuses with.
   */
  offer(sdp: string, signal: AbortSignal): Promise<string>;
  /** The client hung up: the session ends, as when a client closes its socket. */
  hangUp(reason: string): void;
  /** The session is over. */
  close(reason: string): void;
}
