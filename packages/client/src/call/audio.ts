// The two ends of a call's audio. A browser's are the microphone and the loudspeaker; a program brings its own.

import type { ParleyError } from '@parley/core';
import type { DeviceChoice } from './devices.ts';
import type { CutItem } from './playout.ts';

/** Where the answers go: PCM16 at 24 kHz. */
export interface AudioSink {
  /** Queues audio of an answer. */
  write(itemId: string, pcm: Int16Array): void;
  /** Falls silent at once, and tells what was heard of each answer that was queued, the last one included. */
  cut(): CutItem[];
  /** Audio that was not heard yet, in milliseconds. */
  readonly pendingMs: number;
  /** How loud it is right now, 0 to 1. */
  readonly level: number;
  close(): Promise<void>;
}

export interface CallAudio {
  /** What the user says: PCM16 at 24 kHz, in pieces of any size. Without one the user is silent. */
  source?: AsyncIterable<Int16Array> | undefined;
  /** The source is a microphone, which keeps time by itself. Anything else is sent at the speed of speech. */
  realtime?: boolean | undefined;
  /** Without one a `PacedSink` counts what a listener would have heard. */
  sink?: AudioSink | undefined;
  /** Microphones and loudspeakers to choose from. */
  devices?: DeviceChoice | undefined;
  /** What else to release when the call ends. */
  close?: (() => Promise<void>) | undefined;
}

/** A microphone whose sound travels by itself, as a track of a peer connection. */
export interface TrackMicrophone {
  /** A closed one is heard as silence. */
  listen(open: boolean): void;
  /** How loud it is right now, 0 to 1. */
  readonly level: number;
}

/** Takes what goes wrong with the audio in the middle of a call. */
export type ReportProblem = (error: ParleyError) => void;
