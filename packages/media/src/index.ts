// connections
export type { MediaChannel, MediaDriver, MediaEnd, MediaPeer, MediaState } from './peer/media-peer.ts';
export { driverFor } from './peer/driver-for.ts';
export { mediaDriver, openMediaPeer, type OpenMediaPeerOptions } from './peer/open.ts';
export { type IceServer, MEDIA_PEER_DEFAULTS, type MediaPeerOptions } from './peer/options.ts';
export { SDP_BYTES_MAX } from './sdp/offer.ts';
// packets
export type { RtpPacket } from './rtp.ts';
// sound
export { OpusIn, type OpusInOptions, type OpusInStats } from './audio/opus-in.ts';
export { OpusOut, type OpusOutOptions } from './audio/opus-out.ts';
export { type Cut, type CutPart, Playout, type PlayoutOptions } from './audio/playout.ts';
export { FRAME_MS, type OpusOptions, type PcmRate, samplesIn } from './audio/opus.ts';
