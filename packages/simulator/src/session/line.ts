import type { MediaChannel } from '@parley/media';
import type { WebSocket } from 'ws';

// One control connection of a session: its WebSocket, the data channel of a call, or a sideband of one.

export interface Line {
  readonly kind: 'socket' | 'channel' | 'sideband';
  readonly open: boolean;
  /** Bytes that the reader has not taken. */
  readonly waitingBytes: number;
  send(frame: string | Uint8Array, binary: boolean): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

export function socketLine(socket: WebSocket, kind: 'socket' | 'sideband' = 'socket'): Line {
  return {
    kind,
    get open() {
      return socket.readyState === socket.OPEN;
    },
    get waitingBytes() {
      return socket.bufferedAmount;
    },
    send: (frame, binary) => socket.send(frame, { binary }),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
}

/** A data channel carries text; it has no close codes. */
export function channelLine(channel: MediaChannel): Line {
  return {
    kind: 'channel',
    get open() {
      return channel.open;
    },
    get waitingBytes() {
      return channel.bufferedBytes;
    },
    send: (frame) => channel.send(typeof frame === 'string' ? frame : Buffer.from(frame)),
    pause: () => channel.pause(),
    resume: () => channel.resume(),
    close: (code, reason) => channel.close(code, reason),
    terminate: () => channel.terminate(),
  };
}
