// Opus in an Ogg file, as recorders and browsers write it: pages, packets, samples.

import { Decoder } from '@evan/opus';
import { ParleyError } from '@parley/core';

const PAGE_BYTES = 27;
const OGG_RATE = 48_000;
const RATE = 24_000;
/** The longest packet that the format knows: 120 ms. */
const PACKET_BYTES_MAX = 61_440;

function broken(message: string): ParleyError {
  return new ParleyError('invalid_argument', `not an Ogg Opus file that can be read: ${message}`);
}

/**
 * Decodes to 16-bit mono at 24 kHz.
 *
 * @throws ParleyError `invalid_argument` for anything else, and for more than `ms_max` of sound.
 */
export function readOggOpus(bytes: Buffer, ms_max: number): Buffer {
  const { packets, granule } = read(bytes);
  const [head, _tags, ...sound] = packets;
  if (!head || head.toString('latin1', 0, 8) !== 'OpusHead' || head.length < 19)
    throw broken('expected OpusHead first');
  if (head[18] !== 0) throw broken('expected one or two channels');
  const skip = Math.round((head.readUInt16LE(10) * RATE) / OGG_RATE);
  const decoder = new Decoder({ channels: 1, sample_rate: RATE });
  const pieces: Buffer[] = [];
  const bytesMax = ((ms_max + 1000) * RATE * 2) / 1000;
  let length = 0;
  for (const packet of sound) {
    const piece = decoded(decoder, packet);
    pieces.push(piece);
    length += piece.length;
    if (length > bytesMax) throw new ParleyError('invalid_argument', `a sound may have at most ${ms_max} ms`);
  }
  // The last page says where the sound ends; encoders fill up the last packet.
  const end = granule === null ? length / 2 : Math.min(length / 2, Math.round((granule * RATE) / OGG_RATE));
  return Buffer.concat(pieces).subarray(skip * 2, Math.max(skip, end) * 2);
}

function decoded(decoder: Decoder, packet: Buffer): Buffer {
  if (packet.length === 0 || packet.length > PACKET_BYTES_MAX) throw broken('a packet has no length that can be');
  try {
    // The decoder hands out its own memory, which the next packet overwrites.
    return Buffer.from(decoder.decode(packet));
  } catch (error) {
    throw broken(`a packet is not Opus (${(error as Error).message})`);
  }
}

/** The packets of the first stream in the file, and the granule of its last page. */
function read(bytes: Buffer): { packets: Buffer[]; granule: number | null } {
  const packets: Buffer[] = [];
  let serial: number | null = null;
  let granule: number | null = null;
  /** Pieces of a packet that goes on. */
  let open: Buffer[] = [];
  for (let at = 0; at + PAGE_BYTES <= bytes.length; ) {
    if (bytes.toString('latin1', at, at + 4) !== 'OggS') throw broken(`expected a page at byte ${at}`);
    const segments = bytes[at + 26] as number;
    const table = bytes.subarray(at + PAGE_BYTES, at + PAGE_BYTES + segments);
    let body = at + PAGE_BYTES + segments;
    const next = body + table.reduce((sum, one) => sum + one, 0);
    serial ??= bytes.readUInt32LE(at + 14);
    if (bytes.readUInt32LE(at + 14) === serial) {
      const stated = bytes.readBigInt64LE(at + 6);
      if (stated >= 0n) granule = Number(stated);
      for (const size of table) {
        open.push(bytes.subarray(body, Math.min(body + size, bytes.length)));
        body += size;
        // A segment of less than 255 bytes ends its packet.
        if (size === 255) continue;
        packets.push(open.length === 1 ? (open[0] as Buffer) : Buffer.concat(open));
        open = [];
      }
    }
    at = next;
  }
  return { packets, granule };
}
