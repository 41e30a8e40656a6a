import { randomInt } from 'node:crypto';

// RTP (RFC 3550), as far as one audio stream each way needs it.

const HEADER_BYTES = 12;
/** RTCP shares the port; its packet types lie where no RTP payload type with a marker bit may. */
const RTCP_FIRST = 192;
const RTCP_LAST = 223;

export interface RtpPacket {
  readonly sequence: number;
  /** 48 kHz for Opus, whatever rate the sound has. */
  readonly timestamp: number;
  /** The first packet after a pause. */
  readonly marker: boolean;
  readonly payloadType: number;
  readonly ssrc: number;
  /** A view of the packet that came in; empty where it held only padding. */
  readonly payload: Buffer;
}

/** Reads a packet; null for RTCP and for what is not RTP. */
export function readRtp(packet: Buffer): RtpPacket | null {
  if (packet.length < HEADER_BYTES) return null;
  const first = packet[0] as number;
  const second = packet[1] as number;
  if (first >> 6 !== 2 || (second >= RTCP_FIRST && second <= RTCP_LAST)) return null;
  let begin = HEADER_BYTES + (first & 0x0f) * 4;
  if (first & 0x10) {
    if (packet.length < begin + 4) return null;
    begin += 4 + packet.readUInt16BE(begin + 2) * 4;
  }
  const end = packet.length - (first & 0x20 ? (packet[packet.length - 1] as number) : 0);
  if (begin > packet.length || end < begin) return null;
  return {
    sequence: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    marker: (second & 0x80) !== 0,
    payloadType: second & 0x7f,
    ssrc: packet.readUInt32BE(8),
    payload: packet.subarray(begin, end),
  };
}

/** Writes the packets of one outgoing stream. */
export class RtpWriter {
  readonly ssrc = randomInt(1, 0xffff_ffff);
  readonly #payloadType: number;
  // A random beginning in the lower half: a roll-over in the first packets confuses some SRTP stacks.
  #sequence = randomInt(0, 0x7fff);

  constructor(payloadType: number) {
    this.#payloadType = payloadType;
  }

  /** One packet; `timestamp` is taken modulo 2^32. */
  write(payload: Uint8Array, timestamp: number, marker: boolean): Buffer {
    const packet = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
    packet[0] = 0x80;
    packet[1] = (marker ? 0x80 : 0) | this.#payloadType;
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(timestamp >>> 0, 4);
    packet.writeUInt32BE(this.ssrc, 8);
    packet.set(payload, HEADER_BYTES);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    return packet;
  }
}
