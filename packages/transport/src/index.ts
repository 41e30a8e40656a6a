// frames
export type { FrameClose, FrameSocket } from './frame-socket.ts';
// a connection that comes back
export { Backoff, type BackoffOptions } from './backoff.ts';
export { type Clock, ManualClock, systemClock } from './clock.ts';
export { Link, type LinkOptions, type LinkPeer } from './link.ts';
export { fatalClose, LinkConnection, type LinkTerms } from './link-connection.ts';
export {
  acceptFrameSocket,
  FRAME_SOCKET_DEFAULTS,
  type FrameSocketOptions,
  frameServerOptions,
} from './frame-socket-ws.ts';
export { type DialOptions, dialFrameSocket } from './frame-socket-dial.ts';
// what a frame is
export { audioBytes, frameType, isPlainAppend } from './frame-kind.ts';
export { type MemorySocketOptions, memorySocketPair } from './memory-socket.ts';
export { sendableClose } from './sendable-close.ts';
