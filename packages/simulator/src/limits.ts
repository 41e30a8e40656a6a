/** What a simulator holds at most. */
export interface SimulatorLimits {
  /** Sessions at a time; past it the upgrade is answered 503. */
  sessions: number;
  /** Bytes of one client event; a longer one is answered by an error event. Past 24 MiB the socket closes with 1009. */
  frameBytes: number;
  /** Audio that waits to be committed, in milliseconds. A spoken turn that gets longer is committed there. */
  turnMs: number;
  /** Items of one conversation. */
  items: number;
  /** Bytes of user audio kept for `retrieve` and for playing back, for each session; the oldest goes first. */
  audioBytes: number;
  /** Unread bytes at which no more audio is produced. */
  pauseBytes: number;
  /** Unread bytes at which the socket is closed with 1008. */
  closeBytes: number;
  /** Control connections by `call_id` to one call; past it the upgrade is answered 503. */
  sidebands: number;
  /** Client secrets that can be valid at a time; the oldest goes first. */
  secrets: number;
  /** Completions that are generated at a time; past it the answer is 429. */
  turns: number;
}

export const DEFAULT_LIMITS: SimulatorLimits = {
  sessions: 2_000,
  frameBytes: 15 * 1024 * 1024,
  turnMs: 180_000,
  items: 2_000,
  audioBytes: 16 * 1024 * 1024,
  pauseBytes: 1024 * 1024,
  closeBytes: 16 * 1024 * 1024,
  sidebands: 8,
  secrets: 10_000,
  turns: 1_000,
};
