// The narrow waist of every connection here: whole frames in, whole frames out, pressure visible on both sides.
// `ws` is the first driver; a driver that moves frame bytes without decoding them can be another.
//
// P1  Frames come in the order in which the peer sent them, each whole, and none after `onClose`.
// P2  `onClose` is called exactly once. A cut connection is 1006.
// P3  `send` after the end does nothing; it never throws.
// P4  Frames that arrive after this end called `close` or `terminate` are not delivered.

export interface FrameClose {
  code: number;
  reason: string;
}

export interface FrameSocket {
  readonly id: string;
  /** Sends one text frame. The buffer must not be changed afterwards. */
  send(frame: Buffer | string): void;
  /** Bytes that were given to `send` and not yet to the system. */
  readonly bufferedBytes: number;
  /** Stops and goes on reading from the peer: the peer feels it. */
  pause(): void;
  resume(): void;
  /** The one listener of text frames; reading begins with it. Binary frames end the connection unless the driver was told to take them. */
  onFrame(listener: (frame: Buffer) => void): void;
  /** The one listener that is called when `bufferedBytes` falls back to nothing after it was above nothing. */
  onDrain(listener: () => void): void;
  /** One of the listeners of the end; one that comes after it is told at once. */
  onClose(listener: (close: FrameClose) => void): void;
  /** Begins the closing handshake; the connection is cut when the peer does not answer it. */
  close(code?: number, reason?: string): void;
  /** Cuts it now. */
  terminate(): void;
  readonly open: boolean;
}
