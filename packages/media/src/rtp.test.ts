import { expect, test } from 'vitest';
import { readRtp, RtpWriter } from './rtp.ts';

test('what is written is read back, and the sequence goes on across its roll-over', () => {
  const writer = new RtpWriter(111);
  const packets = Array.from({ length: 70_000 }, (_, n) =>
    readRtp(writer.write(Buffer.from([n & 0xff]), n * 960, n === 0)),
  );
  expect(packets[0]).toMatchObject({ payloadType: 111, timestamp: 0, marker: true, ssrc: writer.ssrc });
  expect(packets[1]).toMatchObject({ timestamp: 960, marker: false });
  const first = packets[0]?.sequence ?? 0;
  expect(packets.every((packet, n) => packet?.sequence === ((first + n) & 0xffff))).toBe(true);
  expect(packets[255]?.payload).toEqual(Buffer.from([255]));
});

test('sources, extensions and padding are stepped over', () => {
  const header = new RtpWriter(111).write(Buffer.alloc(0), 7, false);
  const sources = Buffer.alloc(8, 1);
  const extension = Buffer.from([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
  const packet = Buffer.concat([header, sources, extension, Buffer.from([42, 43]), Buffer.from([0, 0, 3])]);
  packet[0] = 0x80 | 0x20 | 0x10 | 2;
  expect(readRtp(packet)?.payload).toEqual(Buffer.from([42, 43]));
});

test('control packets and broken ones are not taken for sound', () => {
  const packet = new RtpWriter(111).write(Buffer.from([1]), 0, false);
  const report = Buffer.from(packet);
  report[1] = 201;
  const extended = Buffer.from(packet);
  extended[0] = 0x90;
  const padded = Buffer.from(packet);
  padded[0] = 0xa0;
  padded[padded.length - 1] = 200;
  const old = Buffer.from(packet);
  old[0] = 0x40;
  for (const broken of [report, extended, padded, old, packet.subarray(0, 11), Buffer.alloc(0)]) {
    expect(readRtp(broken)).toBeNull();
  }
});
