// What a live call tells.

import type { EventRecord, ParleyError } from '@parley/core';
import type { SocketFrame } from '../frame-line.ts';
import type { AudioDevices } from './devices.ts';
import type { ToolUpdate, TranscriptUpdate } from './dialogue.ts';
import type { CallQuality } from './quality.ts';

/**
 * What the call is doing, for a page to show. `thinking`: the user is done and nothing is heard yet, or a tool works.
 */
export type CallState =
  | 'connecting'
  | 'listening'
  | 'user_speaking'
  | 'thinking'
  | 'speaking'
  | 'reconnecting'
  | 'ended';

/** What carries a call. */
export type CallPath = 'webrtc' | 'websocket';

export interface CallStats {
  /** Audio that was sent, in milliseconds; silence of a muted microphone included. */
  userAudioMs: number;
  /** Audio that arrived, heard or not. Over WebRTC, where it arrives as it is heard: what was heard. */
  replyAudioMs: number;
  /** Interruptions that cut an answer. */
  interruptions: number;
  /** Audio that a slow network made us drop. Over WebRTC the browser decides that, and it is not counted here. */
  droppedAudioMs: number;
  /** How often the connection was made again. */
  reconnections: number;
}

/** How a call ended. `error` is null when somebody hung up. */
export interface CallEnd {
  reason: string;
  error: ParleyError | null;
  stats: CallStats;
}

/** What a call tells, by name. */
export type CallEvents = {
  state: CallState;
  transcript: TranscriptUpdate;
  tool: ToolUpdate;
  /** About twenty times a second: loudness of microphone and loudspeaker, 0 to 1. */
  level: { mic: number; speaker: number };
  /** Every two seconds over WebRTC: how well the connection carries the audio. */
  quality: CallQuality;
  /** The user spoke over an answer, of which so much was heard. */
  interruption: { itemId: string; playedMs: number };
  /** The microphone was opened or closed: by `mute`, or by `press` and `release`. */
  microphone: { open: boolean; muted: boolean; pressed: boolean };
  /** A device was plugged in or out, or chosen. */
  devices: AudioDevices;
  /** Something was refused or failed; the call goes on unless `end` follows. `callProblemOf(error)` names it. */
  error: ParleyError;
  /** Every entry of the session's log. */
  event: EventRecord;
  /** Every frame of the realtime connection, entries of the log included. */
  frame: SocketFrame;
  end: CallEnd;
};
