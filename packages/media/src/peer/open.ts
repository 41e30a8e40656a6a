import { ParleyError } from '@parley/core';
import type { MediaDriver, MediaPeer } from './media-peer.ts';
import { NodeDataChannelPeer, type NodeDataChannel } from './node-datachannel.ts';
import { type MediaPeerOptions, termsOf } from './options.ts';
import { type Werift, WeriftPeer } from './werift.ts';

export interface OpenMediaPeerOptions extends MediaPeerOptions {
  /** Default: node-datachannel where its binary loads, else werift. */
  driver?: MediaDriver | undefined;
}

/** What came of loading the native driver, tried once. */
let native: Promise<NodeDataChannel | Error> | null = null;

/** Loading it takes a while, and most machines never need it. */
let werift: Promise<Werift> | null = null;

function loadNative(): Promise<NodeDataChannel | Error> {
  native ??= import('node-datachannel').then(
    (module) => module,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  return native;
}

/**
 * Opens a WebRTC peer that answers an offer, or makes one.
 *
 * The native library keeps threads, and with them the process, after its last connection; whoever runs a program that
 * should end calls `process.exit`. (Its own `cleanup` crashes where connections were ended a moment before.)
 *
 * Throws `invalid_argument` for options that cannot be used, and `unimplemented` where the driver that was asked for,
 * or the one that this machine has, cannot do what the options say.
 *
 * @example
 * const peer = await openMediaPeer({ iceServers: [{ urls: 'stun:stun.example.org:3478' }] });
 * peer.onChannel((channel) => channel.onFrame((frame) => console.log(frame.toString())));
 * const answer = await peer.answer(offer);
 */
export async function openMediaPeer(options: OpenMediaPeerOptions = {}): Promise<MediaPeer> {
  const { driver, ...rest } = options;
  const terms = termsOf(rest);
  const loaded = driver === 'werift' ? null : await loadNative();
  if (loaded && !(loaded instanceof Error)) return new NodeDataChannelPeer(loaded, terms);
  if (driver === 'node-datachannel') {
    throw new ParleyError('unimplemented', `node-datachannel does not load on this machine: ${loaded?.message}`);
  }
  werift ??= import('werift');
  return new WeriftPeer(await werift, terms);
}

/** The driver that {@link openMediaPeer} takes on this machine. */
export async function mediaDriver(): Promise<MediaDriver> {
  return (await loadNative()) instanceof Error ? 'werift' : 'node-datachannel';
}
