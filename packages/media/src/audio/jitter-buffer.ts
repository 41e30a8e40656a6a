import type { RtpPacket } from '../rtp.ts';

// Packets in order, as far as waiting a little can put them there. It waits for a packet only while a later one is
// here; how long is the caller's clock.

/** A jump of the sequence number that is a new stream, and not loss: 10 s of frames. */
const RESTART = 500;

export type Pushed = 'kept' | 'late' | 'restarted';

export class JitterBuffer {
  readonly #max: number;
  /** What waits for an earlier one, by sequence number. */
  readonly #waiting = new Map<number, RtpPacket>();
  #ssrc = -1;
  #next = 0;

  /** `max`: how many packets may wait before the missing one is given up. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Whether packets wait for one that is missing. */
  get waits(): boolean {
    return this.#waiting.size > 0;
  }

  /** Takes a packet. `late`: it, or what stands for it, was already taken. */
  push(packet: RtpPacket): Pushed {
    const ahead = distance(this.#next, packet.sequence);
    if (packet.ssrc !== this.#ssrc || Math.abs(ahead) > RESTART) {
      this.#waiting.clear();
      this.#ssrc = packet.ssrc;
      this.#next = packet.sequence;
      this.#waiting.set(packet.sequence, packet);
      return 'restarted';
    }
    if (ahead < 0 || this.#waiting.has(packet.sequence)) return 'late';
    this.#waiting.set(packet.sequence, packet);
    return 'kept';
  }

  /**
   * The next packet in order; null where it has to be waited for. `giveUp` (or too many that wait) goes on with the
   * first one that is here.
   */
  shift(giveUp = false): { packet: RtpPacket; lost: number } | null {
    if (this.#waiting.size === 0) return null;
    let lost = 0;
    if (!this.#waiting.has(this.#next)) {
      if (!giveUp && this.#waiting.size <= this.#max) return null;
      lost = RESTART;
      for (const sequence of this.#waiting.keys()) lost = Math.min(lost, distance(this.#next, sequence));
      this.#next = (this.#next + lost) & 0xffff;
    }
    const packet = this.#waiting.get(this.#next) as RtpPacket;
    this.#waiting.delete(this.#next);
    this.#next = (this.#next + 1) & 0xffff;
    return { packet, lost };
  }
}

/** How far `to` lies after `from`, on the circle of 16 bits. */
function distance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}
