// All calls whose media end at this server: how many there may be, and which way their media go.

import { ParleyError } from '@parley/core';
import { driverFor, type MediaPeer, openMediaPeer } from '@parley/media';
import type { IceServers, IceUser } from '../../ice-servers.ts';
import type { MediaPorts } from '../../rtc-config.ts';

export interface BridgesOptions {
  max: number;
  ports: MediaPorts;
  ice: IceServers;
  media_connect_ms: number;
  channel_open_ms: number;
  media_lost_ms: number;
}

export class Bridges {
  readonly #options: BridgesOptions;
  #open = 0;

  constructor(options: BridgesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open;
  }

  /** A peer that can answer this offer. @throws ParleyError `resource_exhausted`, `unimplemented` (no driver here). */
  async open(offer: string, user: IceUser): Promise<MediaPeer> {
    const { max, ports, ice, media_connect_ms, channel_open_ms, media_lost_ms } = this.#options;
    if (this.#open >= max) {
      throw new ParleyError('resource_exhausted', `this server is at its limit of ${max} bridged calls`, {
        retry_after_ms: 1000,
        details: { limit: max, current: this.#open },
      });
    }
    this.#open += 1;
    try {
      const peer = await openMediaPeer({
        host: ports.host,
        iceServers: ice.for(user),
        ...(ports.range === null ? {} : { portRange: ports.range }),
        ...(ports.one === null ? {} : { udpMuxPort: ports.one }),
        // One port for all calls is what node-datachannel alone can do: then there is no choice.
        driver: ports.one === null ? driverFor(offer) : undefined,
        connectMs: media_connect_ms,
        channelMs: channel_open_ms,
        lostMs: media_lost_ms,
      });
      peer.onEnd(() => {
        this.#open -= 1;
      });
      return peer;
    } catch (caught) {
      this.#open -= 1;
      throw caught;
    }
  }
}
