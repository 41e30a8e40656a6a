// libopus for one mono stream. It takes and gives 8, 12, 16, 24 and 48 kHz by itself, band-limited in its own transform:
// no resampler of ours could be better or cheaper. On the wire a frame is always 20 ms of a 48 kHz clock.

import { ParleyError } from '@parley/core';
import { Decoder, Encoder } from '@evan/opus';

/** Rates that Opus speaks natively, in Hz. */
export type PcmRate = 8_000 | 12_000 | 16_000 | 24_000 | 48_000;

export const FRAME_MS = 20;
/** 48 kHz samples of one frame: what RTP timestamps count. */
export const FRAME_TICKS = 960;
export const TICKS_PER_MS = 48;

/** 20 ms of nothing, in any state of the decoder. */
export const SILENT_PACKET: Uint8Array = Uint8Array.of(0xf8, 0xff, 0xfe);

export interface OpusOptions {
  /** Bits a second. Default 40,000: speech that nobody tells from the original. */
  bitrate?: number | undefined;
  /** 0 (cheapest) to 10. Default 5. */
  complexity?: number | undefined;
  /** Loss to be prepared for, in percent: the encoder repeats a little of each frame in the next. Default 5. */
  lossPercent?: number | undefined;
}

/** Throws `invalid_argument` for a rate that Opus does not speak. */
export function checkRate(rate: number): void {
  if ([8_000, 12_000, 16_000, 24_000, 48_000].includes(rate)) return;
  throw new ParleyError('invalid_argument', `rate must be 8000, 12000, 16000, 24000 or 48000 Hz, got ${rate}`);
}

export class OpusEncoder {
  readonly #encoder: Encoder;

  constructor(rate: PcmRate, { bitrate = 40_000, complexity = 5, lossPercent = 5 }: OpusOptions = {}) {
    checkRate(rate);
    this.#encoder = new Encoder({ channels: 1, sample_rate: rate, application: 'voip' });
    this.#encoder.bitrate = bitrate;
    this.#encoder.complexity = Math.max(0, Math.min(10, Math.round(complexity))) as 5;
    this.#encoder.inband_fec = lossPercent > 0;
    this.#encoder.packet_loss = lossPercent;
  }

  /** One frame of 20 ms. The packet is the caller's. */
  encode(frame: Int16Array): Uint8Array {
    return this.#encoder.encode(frame);
  }
}

export class OpusDecoder {
  readonly #decoder: Decoder;
  /** The first byte of the last packet, as that of one that was lost: libopus conceals a frame without a body. */
  readonly #missing = new Uint8Array(1);
  #heard = false;

  constructor(rate: PcmRate) {
    checkRate(rate);
    this.#decoder = new Decoder({ channels: 1, sample_rate: rate });
  }

  /** The samples of a packet, or null for one that is not Opus. */
  decode(packet: Uint8Array): Int16Array | null {
    try {
      const samples = samplesIn(this.#decoder.decode(packet));
      this.#missing[0] = (packet[0] as number) & 0xfc;
      this.#heard = true;
      return samples;
    } catch {
      return null;
    }
  }

  /** A frame in place of one that was lost, made of what was heard; null before anything was. */
  conceal(): Int16Array | null {
    return this.#heard ? samplesIn(this.#decoder.decode(this.#missing)) : null;
  }
}

/**
 * PCM16 bytes, little-endian, as samples: a view where the bytes are aligned, else a copy. A last odd byte is left out.
 *
 * @example
 * out.push(samplesIn(Buffer.from(delta, 'base64')));
 */
export function samplesIn(bytes: Uint8Array): Int16Array {
  const length = bytes.byteLength >> 1;
  if (bytes.byteOffset % 2 === 0) return new Int16Array(bytes.buffer, bytes.byteOffset, length);
  return new Int16Array(bytes.slice(0, length * 2).buffer);
}
