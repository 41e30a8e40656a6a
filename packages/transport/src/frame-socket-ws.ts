// The `ws` driver of FrameSocket: both ends of a WebSocket, after its handshake.
//
// No compression: deflating base64 sound costs five times the frame itself. UTF-8 is validated: it costs nothing that
// could be measured, and a provider that meets a broken text frame would end the call.

import type { Socket } from 'node:net';
import { closeCodeOf, randomSuffix } from '@parley/core';
import { WebSocket } from 'ws';
import type { FrameClose, FrameSocket } from './frame-socket.ts';
import { sendableClose } from './sendable-close.ts';

export interface FrameSocketOptions {
  /** A longer frame of the peer ends the connection with 1009. Default 16 MiB. */
  maxFrameBytes?: number | undefined;
  /** A peer that lets this much pile up is cut with `resource_exhausted`. Default 64 MiB. */
  maxBufferedBytes?: number | undefined;
  /** A peer that was silent this long is pinged, and cut after as long again. 0 never pings. Default 20 s. */
  pingMs?: number | undefined;
  /** How long the peer has for the closing handshake. Default 5 s. */
  closeTimeoutMs?: number | undefined;
  /** Binary frames hold text too: some servers send their JSON so. Default false: one ends the connection. */
  textInBinary?: boolean | undefined;
}

export const FRAME_SOCKET_DEFAULTS = {
  maxFrameBytes: 16 * 1024 * 1024,
  maxBufferedBytes: 64 * 1024 * 1024,
  pingMs: 20_000,
  closeTimeoutMs: 5_000,
} as const;

const TEXT = { binary: false, compress: false } as const;

/**
 * A FrameSocket over a `ws` WebSocket that is open. Reading begins with `onFrame`.
 *
 * Create the server's sockets with {@link frameServerOptions}, so that long frames are refused before they are read.
 */
export function acceptFrameSocket(ws: WebSocket, options: FrameSocketOptions = {}): FrameSocket {
  return new WsFrameSocket(ws, options);
}

/** Options for `new WebSocketServer(…)` that go with {@link acceptFrameSocket}. */
export function frameServerOptions(options: Pick<FrameSocketOptions, 'maxFrameBytes'> = {}) {
  return {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.maxFrameBytes ?? FRAME_SOCKET_DEFAULTS.maxFrameBytes,
  } as const;
}

class WsFrameSocket implements FrameSocket {
  readonly id = `conn_${randomSuffix()}`;
  readonly #ws: WebSocket;
  readonly #limits: Required<{ [K in Exclude<keyof FrameSocketOptions, 'textInBinary'>]: number }>;
  readonly #textInBinary: boolean;
  readonly #listeners: {
    frame: ((frame: Buffer) => void) | null;
    drain: (() => void) | null;
    close: ((close: FrameClose) => void)[];
  } = { frame: null, drain: null, close: [] };
  /** `corked` until the end of this turn of the event loop; `pressed` while the system does not take all we give. */
  #writing: 'idle' | 'corked' | 'pressed' = 'idle';
  #paused = false;
  /** Why this side ends the connection, when it does. */
  #fault: FrameClose | null = null;
  #ended: FrameClose | null = null;
  #closing = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(ws: WebSocket, options: FrameSocketOptions) {
    this.#ws = ws;
    this.#limits = {
      maxFrameBytes: options.maxFrameBytes ?? FRAME_SOCKET_DEFAULTS.maxFrameBytes,
      maxBufferedBytes: options.maxBufferedBytes ?? FRAME_SOCKET_DEFAULTS.maxBufferedBytes,
      pingMs: options.pingMs ?? FRAME_SOCKET_DEFAULTS.pingMs,
      closeTimeoutMs: options.closeTimeoutMs ?? FRAME_SOCKET_DEFAULTS.closeTimeoutMs,
    };
    this.#textInBinary = options.textInBinary ?? false;
    // A frame may stand in the same packet as the handshake: nothing is read before somebody listens.
    ws.pause();
    ws.on('message', this.#received);
    ws.on('error', this.#failed);
    ws.on('close', this.#closed);
    if (this.#limits.pingMs > 0) this.#watch(this.#limits.pingMs);
  }

  get open(): boolean {
    return this.#ws.readyState === WebSocket.OPEN && !this.#closing;
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount;
  }

  send(frame: Buffer | string): void {
    if (!this.open) return;
    // Frames of one turn leave in one system call. Of two frames in a turn that saves a fifth of their cost, of sixteen
    // more than half; a frame that is alone pays 7 % for it.
    if (this.#writing === 'idle') {
      this.#writing = 'corked';
      netSocket(this.#ws)?.cork();
      process.nextTick(this.#flush);
    }
    this.#ws.send(frame, TEXT, this.#written);
    if (this.#ws.bufferedAmount > this.#limits.maxBufferedBytes) {
      this.#fault = { code: closeCodeOf('resource_exhausted'), reason: 'the peer reads too slowly' };
      this.terminate();
    }
  }

  pause(): void {
    this.#paused = true;
    this.#ws.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#listeners.frame) this.#ws.resume();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#listeners.frame = listener;
    if (!this.#paused) this.#ws.resume();
  }

  onDrain(listener: () => void): void {
    this.#listeners.drain = listener;
  }

  onClose(listener: (close: FrameClose) => void): void {
    const ended = this.#ended;
    if (ended) queueMicrotask(() => listener(ended));
    else this.#listeners.close.push(listener);
  }

  close(code?: number, reason?: string): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    const sendable = sendableClose(code, reason);
    if (sendable) this.#ws.close(sendable.code, sendable.reason);
    else this.#ws.close();
    // The answer of the peer has to be read, whoever paused.
    this.#ws.resume();
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = setTimeout(() => this.#ws.terminate(), this.#limits.closeTimeoutMs);
  }

  terminate(): void {
    this.#closing = true;
    this.#ws.terminate();
  }

  readonly #received = (data: unknown, isBinary: boolean): void => {
    if (this.#closing) return;
    const frame = data as Buffer;
    if (isBinary && !this.#textInBinary)
      return this.#refuse({ code: 1003, reason: 'expected text frames, got a binary one' });
    if (frame.length > this.#limits.maxFrameBytes) {
      return this.#refuse({ code: 1009, reason: `a frame may have at most ${this.#limits.maxFrameBytes} bytes` });
    }
    this.#listeners.frame?.(frame);
  };

  #refuse(fault: FrameClose): void {
    this.#fault = fault;
    this.close(fault.code, fault.reason);
  }

  readonly #flush = (): void => {
    netSocket(this.#ws)?.uncork();
    if (this.#ws.bufferedAmount > 0) {
      this.#writing = 'pressed';
      return;
    }
    this.#writing = 'idle';
    // The system took all of it at once; whoever looked in between saw it waiting, and may have paused for it.
    this.#listeners.drain?.();
  };

  readonly #written = (): void => {
    if (this.#writing !== 'pressed' || this.#ws.bufferedAmount > 0) return;
    this.#writing = 'idle';
    this.#listeners.drain?.();
  };

  readonly #failed = (error: Error): void => {
    // `ws` answers a broken frame with the right code and then reports 1006 here; `close` follows every error.
    const code = 'code' in error ? String(error.code) : '';
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
      this.#fault ??= { code: 1009, reason: `a frame may have at most ${this.#limits.maxFrameBytes} bytes` };
    } else if (code === 'WS_ERR_INVALID_UTF8') {
      this.#fault ??= { code: 1007, reason: 'a text frame was not UTF-8' };
    } else if (code.startsWith('WS_ERR_')) {
      this.#fault ??= { code: 1002, reason: error.message };
    }
  };

  readonly #closed = (code: number, reason: Buffer): void => {
    if (this.#timer) clearInterval(this.#timer);
    const ended = this.#fault ?? { code, reason: reason.toString() };
    this.#ended = ended;
    for (const listener of this.#listeners.close) listener(ended);
    this.#listeners.close.length = 0;
  };

  #watch(pingMs: number): void {
    let heard = true;
    const mark = (): void => {
      heard = true;
    };
    this.#ws.on('message', mark);
    this.#ws.on('ping', mark);
    this.#ws.on('pong', mark);
    let asked = false;
    this.#timer = setInterval(() => {
      // What we do not read cannot answer us.
      if (heard || this.#paused || !this.#listeners.frame) asked = false;
      else if (asked) return this.terminate();
      else {
        asked = true;
        if (this.open) this.#ws.ping();
      }
      heard = false;
    }, pingMs);
    this.#timer.unref();
  }
}

/** The socket under a `ws` WebSocket. It has no public name there; without it frames are written one by one. */
function netSocket(ws: WebSocket): Socket | undefined {
  return (ws as WebSocket & { _socket?: Socket })._socket;
}
