// The media path between one client and one model connection. `passThrough` is the first driver of this interface; one
// that walks frame headers and splices bytes can be the second, behind the same `Relay`.
//
// P1  A client's frame reaches the model only if `client_events` allows it.
// P2  A slow reader pauses its writer. A client that stays slow loses audio, never a structural frame; past the hard
//     bound it is disconnected, and the session goes on without it.

import type { ClientEventName, ErrorObject } from '@parley/core';
import { clientFrameProblem, type ModelMedia } from '@parley/providers';
import type { FrameSocket } from '@parley/transport';

export interface RelayPolicy {
  allowed: readonly ClientEventName[];
  soft_bytes: number;
  hard_bytes: number;
  /** How long a client may hold the model back before it loses audio instead. */
  patience_ms: number;
  /** Takes an allowed frame that is not for the model, and says so. */
  takes?: ((frame: Buffer) => boolean) | undefined;
  /** A frame was refused. */
  rejected: (frame: Buffer, error: ErrorObject) => void;
  /** The client does not read and was given up. */
  tooSlow: () => void;
}

export interface Relay {
  /** A frame of the model, for the client. */
  deliver(frame: Buffer, kind: 'audio' | 'other'): void;
  /** Audio frames that a slow client missed. */
  readonly dropped: number;
  stop(): void;
}

export function passThrough(client: FrameSocket, media: ModelMedia, policy: RelayPolicy): Relay {
  return new PassThrough(client, media, policy);
}

class PassThrough implements Relay {
  dropped = 0;
  readonly #client: FrameSocket;
  readonly #media: ModelMedia;
  readonly #policy: RelayPolicy;
  /** `waiting`: the model is paused for the client. `dropping`: it was waited for long enough. */
  #pressure: 'none' | 'waiting' | 'dropping' | 'stopped' = 'none';
  #patience: NodeJS.Timeout | undefined;

  constructor(client: FrameSocket, media: ModelMedia, policy: RelayPolicy) {
    this.#client = client;
    this.#media = media;
    this.#policy = policy;
    client.onFrame((frame) => this.#fromClient(frame));
    client.onDrain(() => this.#drained());
    media.socket.onDrain(() => client.resume());
  }

  deliver(frame: Buffer, kind: 'audio' | 'other'): void {
    if (this.#pressure === 'stopped') return;
    if (kind === 'audio' && this.#pressure === 'dropping') {
      this.dropped += 1;
      return;
    }
    this.#client.send(frame);
    const waiting = this.#client.bufferedBytes;
    if (waiting > this.#policy.hard_bytes) {
      this.stop();
      this.#policy.tooSlow();
    } else if (waiting > this.#policy.soft_bytes && this.#pressure === 'none') {
      this.#pressure = 'waiting';
      this.#media.socket.pause();
      this.#patience = setTimeout(() => {
        this.#pressure = 'dropping';
        this.#media.socket.resume();
      }, this.#policy.patience_ms);
    }
  }

  stop(): void {
    if (this.#pressure === 'waiting') this.#media.socket.resume();
    this.#pressure = 'stopped';
    clearTimeout(this.#patience);
  }

  #fromClient(frame: Buffer): void {
    if (this.#pressure === 'stopped') return;
    const verdict = clientFrameProblem(frame, this.#policy.allowed);
    if ('problem' in verdict) {
      this.#policy.rejected(frame, verdict.problem);
      return;
    }
    if (verdict.kind === 'other' && this.#policy.takes?.(frame)) return;
    this.#media.send(frame);
    if (this.#media.socket.bufferedBytes > this.#policy.soft_bytes) this.#client.pause();
  }

  #drained(): void {
    clearTimeout(this.#patience);
    if (this.#pressure === 'waiting') this.#media.socket.resume();
    if (this.#pressure !== 'stopped') this.#pressure = 'none';
  }
}
