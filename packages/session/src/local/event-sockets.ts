// Clients that asked for the entries of the log besides the frames of the call.

import type { FrameSocket } from '@parley/transport';

const sockets = new WeakSet<FrameSocket>();

/** Marks a client that is told the entries of the log too. */
export function withEvents(socket: FrameSocket): FrameSocket {
  sockets.add(socket);
  return socket;
}

export function wantsEvents(socket: FrameSocket): boolean {
  return sockets.has(socket);
}
