// The waist of WebRTC media: one peer connection with one Opus line each way and data channels, whole descriptions in
// and out (no trickling), and one end.
//
// P1  `answer` resolves with a description that holds all candidates, `offer` with one that holds none: whoever answers
//     learns them from our packets. Nothing is exchanged afterwards.
// P2  `onEnd` is called exactly once, whatever ends the connection; nothing else is called after it.
// P3  A connection that is not up in `connectMs` ends as failed, and says at which stage.
// P4  `sendAudio` never throws; before the connection is up and after its end it answers false.

import type { ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import type { RtpPacket } from '../rtp.ts';

export type MediaDriver = 'node-datachannel' | 'werift';

export type MediaState = 'new' | 'connecting' | 'connected' | 'ended';

/** How a connection ended. `closed` is what one of the two sides wanted. */
export type MediaEnd =
  | { readonly kind: 'closed'; readonly by: 'us' | 'peer' }
  /** `details.stage` of the error: `ice`, `dtls`, `data channel`, or `connected` where it was lost later. */
  | { readonly kind: 'failed'; readonly error: ParleyError };

/**
 * A data channel as a FrameSocket. It has no closing handshake with codes: the far end sees 1005 whatever was said here,
 * and 1006 where the connection broke.
 */
export interface MediaChannel extends FrameSocket {
  readonly label: string;
  /** Called once when frames can flow; at once for one that is open. */
  onOpen(listener: () => void): void;
}

export interface MediaPeer {
  readonly id: string;
  readonly driver: MediaDriver;
  readonly state: MediaState;
  /**
   * Answers a whole offer with a whole answer. The offer may hold no candidates.
   *
   * Throws `invalid_argument` for an offer that cannot be answered, `failed_precondition` after `answer` or `offer`.
   */
  answer(offer: string): Promise<string>;
  /** The other role: a bare offer of one Opus line and of the channels opened so far. `accept` takes the answer. */
  offer(): Promise<string>;
  accept(answer: string): Promise<void>;
  /** Opens a channel from this side; before `offer`. */
  openChannel(label: string): MediaChannel;
  /** The one listener of the moment when ICE and DTLS are through. */
  onConnected(listener: () => void): void;
  /** The one listener of channels that the far side opened; they are open. */
  onChannel(listener: (channel: MediaChannel) => void): void;
  /** The one listener of audio packets, in the order of arrival: {@link OpusIn} puts them in order. */
  onAudio(listener: (packet: RtpPacket) => void): void;
  /**
   * Sends one Opus packet. `timestamp` counts 48 kHz samples from any beginning; `marker` after a pause.
   *
   * @returns whether it was handed over
   */
  sendAudio(packet: Uint8Array, timestamp: number, marker?: boolean): boolean;
  /** One of the listeners of the end; one that comes after it is told. */
  onEnd(listener: (end: MediaEnd) => void): void;
  /** Ends the connection and its channels. */
  close(): void;
}
