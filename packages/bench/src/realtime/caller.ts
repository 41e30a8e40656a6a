// What the benchmark asks of a library that runs a session.

/** @typeParam F a frame as the socket of the library gives it: bytes to ours, text to the peer. */
export interface Caller<F = unknown> {
  frame(text: string): F;
  push(frame: F): void;
  sendAudio(): void;
  /** Resolves when the output of the next call has been sent. */
  output(): Promise<void>;
  /** Bytes of sound that listeners got. */
  heard(): number;
  /** Items in the history, and the words of the last. */
  items(): number;
  close(): void;
}

/** @param outputBytes what the one tool, `echo`, answers. */
export type MakeCaller<F = unknown> = (options?: { outputBytes?: number }) => Promise<Caller<F>>;
