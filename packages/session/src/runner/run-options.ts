// What one run at the terminal can be told.

import type { LogLevel } from '../log.ts';

export interface RunOptions {
  /** Default `default`. */
  callType?: string | undefined;
  /** Default: a new one. */
  callId?: string | undefined;
  /** Shows every entry of the session's log, and logs from `debug`. */
  debug?: boolean | undefined;
  /** Default `warn`: the screen is for the call. */
  logLevel?: LogLevel | undefined;
  /** Lets the agent join alone, without a user at this terminal. */
  noDemo?: boolean | undefined;
  /** Who runs the model. Default `simulator`, which needs no key; `declared` is what the session declares. */
  provider?: string | undefined;
  /** Keeps the sound and the log of the call in this folder. */
  record?: string | undefined;
  /** Says what is in this WAV file, instead of a microphone. */
  audio?: string | undefined;
  /** Typed lines only: neither microphone nor speaker. */
  text?: boolean | undefined;
  /** JSON for the agent. */
  input?: unknown;
  /** Ends the run. */
  signal?: AbortSignal | undefined;
}
