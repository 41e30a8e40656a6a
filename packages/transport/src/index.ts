export type { FrameClose, FrameSocket } from './frame-socket.ts';
