// Just enough of WebSocket to load a relay cheaply: the load must cost less than what it measures, so frames are built
// once and only counted when they come back.

import { createHash, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

/** A text frame. Clients mask theirs; a mask of zeros is valid and costs the load nothing. */
export function textFrame(text: string, masked: boolean): Buffer {
  const payload = Buffer.from(text);
  const length = payload.length;
  const head = length < 126 ? Buffer.from([0x81, length]) : Buffer.from([0x81, 126, length >> 8, length & 255]);
  if (length > 65_535) throw new Error('the load sends short frames only');
  if (!masked) return Buffer.concat([head, payload]);
  head[1] = (head[1] as number) | 0x80;
  // A real mask: a relay that unmasks has to do its work.
  const mask = randomBytes(4);
  const body = Buffer.from(payload.map((byte, i) => byte ^ (mask[i & 3] as number)));
  return Buffer.concat([head, mask, body]);
}

/** Reads frame headers out of a byte stream and skips the payloads. */
export class FrameCounter {
  readonly #onFrame: (payloadBytes: number, opcode: number) => void;
  #skip = 0;
  #rest: Buffer | null = null;

  constructor(onFrame: (payloadBytes: number, opcode: number) => void) {
    this.#onFrame = onFrame;
  }

  feed(chunk: Buffer): void {
    let data = chunk;
    if (this.#rest) {
      data = Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
    }
    let at = 0;
    while (at < data.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, data.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const left = data.length - at;
      const short = (data[at + 1] ?? 0) & 0x7f;
      const masked = ((data[at + 1] ?? 0) & 0x80) !== 0;
      const head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0);
      if (left < 2 || left < head) {
        this.#rest = data.subarray(at);
        return;
      }
      const length =
        short < 126 ? short : short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2));
      const opcode = (data[at] as number) & 15;
      at += head;
      this.#skip = length;
      this.#onFrame(length, opcode);
    }
  }
}

/** Takes bytes up to the end of HTTP headers, then hands the socket over with what came after them. */
export function readHeaders(socket: Socket): Promise<{ headers: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let data = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      data = Buffer.concat([data, chunk]);
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onData);
      socket.off('error', reject);
      resolve({ headers: data.subarray(0, end).toString('latin1'), rest: data.subarray(end + 4) });
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed during the handshake')));
  });
}

export function acceptKey(headers: string): string {
  const key = /sec-websocket-key: *(\S+)/i.exec(headers)?.[1] ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** 20 ms of 24 kHz PCM16 in base64 inside the event that carries it: the size of a real frame. */
const AUDIO = randomBytes(960).toString('base64');
export const APPEND = `{"type":"input_audio_buffer.append","audio":"${AUDIO}"}`;
export const DELTA_START =
  '{"type":"response.output_audio.delta","event_id":"event_0","response_id":"resp_0","item_id":"item_0","output_index":0,"content_index":0,"delta":"';
export const DELTA = `${DELTA_START}${AUDIO}"}`;
