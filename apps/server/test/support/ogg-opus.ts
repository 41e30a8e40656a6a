// Writes Ogg Opus, as a recorder would: for tests of what reads it.

import { Encoder } from '@evan/opus';

const RATE = 48_000;
const FRAME = (RATE * 20) / 1000;

/** 16-bit mono at 48 kHz as an Ogg Opus file, with 50 packets to a page. */
export function oggOpus(pcm: Int16Array): Buffer {
  const encoder = new Encoder({ channels: 1, sample_rate: RATE, application: 'audio' });
  encoder.bitrate = 48_000;
  const preSkip = 312;
  const packets: Buffer[] = [];
  for (let at = 0; at < pcm.length + preSkip; at += FRAME) {
    const frame = new Int16Array(FRAME);
    frame.set(pcm.subarray(at, at + FRAME));
    packets.push(Buffer.from(encoder.encode(frame)));
  }
  const head = Buffer.alloc(19);
  head.write('OpusHead\u0001\u0001', 'latin1');
  head.writeUInt16LE(preSkip, 10);
  head.writeUInt32LE(RATE, 12);
  const tags = Buffer.concat([Buffer.from('OpusTags'), Buffer.alloc(8)]);
  const pages = [page([head], 0, 0, 2), page([tags], 0, 1, 0)];
  for (let at = 0; at < packets.length; at += 50) {
    const end = Math.min(packets.length, at + 50);
    const last = end === packets.length;
    const granule = last ? pcm.length + preSkip : end * FRAME;
    pages.push(page(packets.slice(at, end), granule, pages.length, last ? 4 : 0));
  }
  return Buffer.concat(pages);
}

function page(packets: Buffer[], granule: number, sequence: number, flags: number): Buffer {
  const table = packets.flatMap(({ length }) => [...Array<number>(Math.floor(length / 255)).fill(255), length % 255]);
  const head = Buffer.alloc(27);
  head.write('OggS');
  head[5] = flags;
  head.writeBigInt64LE(BigInt(granule), 6);
  head.writeUInt32LE(7, 14);
  head.writeUInt32LE(sequence, 18);
  head[26] = table.length;
  return Buffer.concat([head, Buffer.from(table), ...packets]);
}
