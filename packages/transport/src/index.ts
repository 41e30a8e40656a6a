export type { FrameClose, FrameSocket } from './frame-socket.ts';
// a connection that comes back
export { Backoff, type BackoffOptions } from './backoff.ts';
export { type Clock, systemClock } from './clock.ts';
export { Link, type LinkOptions, type LinkPeer } from './link.ts';
export { fatalClose, LinkConnection, type LinkTerms } from './link-connection.ts';
export { dialFrameSocket } from './dial.ts';
