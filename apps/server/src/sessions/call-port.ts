// The place of a session where its WebRTC call is, whoever terminates the media.

import type { CallResource, ModelEvent, SessionState } from '@parley/core';

export type CallStatus = Pick<CallResource, 'status' | 'connection_id' | 'provider_call_id'>;

export interface CallPort {
  readonly status: CallStatus;
  /**
   * Answers a client's SDP offer. The newest offer takes over from a call that is there.
   * @param wantsEvents the client wants `parley.event` frames on a data channel that ends here.
   * @throws ParleyError `invalid_argument` (not an offer that can be answered), and what the provider refuses with.
   */
  offer(sdp: string, signal: AbortSignal, wantsEvents: boolean): Promise<string>;
  /** An event of the model, with what whoever plays its answers knows better. */
  told(event: ModelEvent, state: SessionState): ModelEvent;
  /** The client hung up: the session ends, as when a client closes its socket. */
  hangUp(reason: string): void;
  /** The session is over. */
  close(reason: string): void;
}
