// How well a peer connection carries its audio, as the browser measures it.

/** Null where the browser has no number (yet). */
export interface CallQuality {
  /** There and back, in milliseconds. */
  roundTripMs: number | null;
  /** How unevenly the answers arrive, in milliseconds. */
  jitterMs: number | null;
  /** Share of the packets that did not arrive since the last look, 0 to 1. */
  lost: number | null;
}

type Stats = Record<string, unknown>;

export class QualityMeter {
  readonly #connection: RTCPeerConnection;
  #received = 0;
  #lost = 0;

  constructor(connection: RTCPeerConnection) {
    this.#connection = connection;
  }

  async read(): Promise<CallQuality> {
    const quality: CallQuality = { roundTripMs: null, jitterMs: null, lost: null };
    for (const stats of (await this.#connection.getStats()).values() as Iterable<Stats>) {
      if (stats['type'] === 'candidate-pair' && stats['nominated'] === true) {
        quality.roundTripMs = milliseconds(stats['currentRoundTripTime']);
      } else if (stats['type'] === 'inbound-rtp' && stats['kind'] === 'audio') {
        quality.jitterMs = milliseconds(stats['jitter']);
        quality.lost = this.#share(stats['packetsReceived'], stats['packetsLost']);
      }
    }
    return quality;
  }

  #share(received: unknown, lost: unknown): number | null {
    if (typeof received !== 'number' || typeof lost !== 'number') return null;
    // A packet that came late after all counts back.
    const missing = Math.max(0, lost - this.#lost);
    const all = received - this.#received + missing;
    this.#received = received;
    this.#lost = lost;
    return all > 0 ? missing / all : null;
  }
}

function milliseconds(seconds: unknown): number | null {
  return typeof seconds === 'number' ? seconds * 1000 : null;
}
