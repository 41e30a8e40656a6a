// frames
export type { FrameClose, FrameSocket } from './frame-socket.ts';
export {
  acceptFrameSocket,
  FRAME_SOCKET_DEFAULTS,
  type FrameSocketOptions,
  frameServerOptions,
} from './frame-socket-ws.ts';
export { type DialOptions, dialFrameSocket } from './frame-socket-dial.ts';
export { type MemorySocketOptions, memorySocketPair } from './memory-socket.ts';
export { sendableClose } from './sendable-close.ts';
