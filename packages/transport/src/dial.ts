import { ParleyError } from '@parley/core';
import { WebSocket } from 'ws';
import type { FrameSocket } from './frame-socket.ts';

export interface DialOptions {
  headers?: Record<string, string>;
  protocols?: string[];
  handshakeTimeoutMs?: number;
  signal?: AbortSignal;
}

let count = 0;

export function dialFrameSocket(url: string, options: DialOptions = {}): Promise<FrameSocket> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, options.protocols ?? [], {
      headers: options.headers ?? {},
      perMessageDeflate: false,
      handshakeTimeout: options.handshakeTimeoutMs ?? 10_000,
    });
    const abort = (): void => ws.terminate();
    options.signal?.addEventListener('abort', abort);
    ws.once('open', () => {
      options.signal?.removeEventListener('abort', abort);
      resolve({
        id: `dial_${++count}`,
        send: (frame) => {
          if (ws.readyState === WebSocket.OPEN) ws.send(frame, { binary: false });
        },
        get bufferedBytes() {
          return ws.bufferedAmount;
        },
        pause: () => ws.pause(),
        resume: () => ws.resume(),
        onFrame: (listener) => void ws.on('message', (data) => listener(data as Buffer)),
        onDrain: () => undefined,
        onClose: (listener) => void ws.once('close', (code, reason) => listener({ code, reason: reason.toString() })),
        close: (code, reason) => ws.close(code, reason),
        terminate: () => ws.terminate(),
        get open() {
          return ws.readyState === WebSocket.OPEN;
        },
      });
    });
    ws.on('error', (error) => reject(new ParleyError('unavailable', error.message, { cause: error })));
    ws.on('unexpected-response', (_, response) => {
      const code = response.statusCode === 401 ? 'unauthenticated' : 'unavailable';
      reject(new ParleyError(code, `the upgrade was answered with ${response.statusCode}`));
      ws.terminate();
    });
  });
}
