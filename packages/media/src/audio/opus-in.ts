// RTP in, PCM out, for a listener without a clock of its own: a model that takes sound as it comes.
//
// P1  A packet that is in order is passed on at once: the buffer delays only what comes after a gap, by `maxDelayMs`.
// P2  A lost packet becomes a concealed frame, a longer gap silence; the sound keeps its length.
// P3  When packets stop, silence goes on in their place for a while, so that voice activity detection hears the end.
// P4  Speech that was late is passed on in full: where nothing is played there is no latency to catch up with.

import { type Clock, systemClock } from '@parley/transport';
import type { RtpPacket } from '../rtp.ts';
import { JitterBuffer } from './jitter-buffer.ts';
import { FRAME_MS, FRAME_TICKS, OpusDecoder, type PcmRate, TICKS_PER_MS } from './opus.ts';

export interface OpusInOptions {
  /** Of the samples that come out. Default 24 kHz. */
  rate?: PcmRate | undefined;
  /** How long a missing packet is waited for. Default 60 ms. */
  maxDelayMs?: number | undefined;
  /** No packet for this long is silence, and not a network that is held up. Default 400 ms. */
  stallMs?: number | undefined;
  /** How much silence stands for packets that do not come. Default 10 s. */
  silenceMaxMs?: number | undefined;
  /** The samples; they are the listener's. */
  onPcm: (samples: Int16Array) => void;
  clock?: Clock | undefined;
}

export interface OpusInStats {
  packets: number;
  /** Never came, or came too late. */
  lost: number;
  late: number;
  /** Not Opus. */
  broken: number;
  silenceMs: number;
}

interface Terms {
  readonly maxDelayMs: number;
  readonly stallMs: number;
  readonly silenceMaxMs: number;
  readonly onPcm: (samples: Int16Array) => void;
  readonly clock: Clock;
}

/** Frames that are made of what was heard before; after that it would only buzz. */
const CONCEAL_FRAMES_MAX = 5;
/** The longest pause in timestamps that is passed on as silence. */
const PAUSE_MS_MAX = 2_000;
const WATCH_MS = 100;
/** A process that was held up finds its timers before its packets: packets get this long to show. */
const SECOND_LOOK_MS = 20;

export class OpusIn {
  readonly stats: OpusInStats = { packets: 0, lost: 0, late: 0, broken: 0, silenceMs: 0 };
  readonly #rate: PcmRate;
  readonly #options: Terms;
  readonly #buffer: JitterBuffer;
  #decoder: OpusDecoder;
  /** The timestamp that the next packet should have; null before the first. */
  #nextTicks: number | null = null;
  /** Silence that stands for packets since the last one, and when sound last came out or was made up. */
  #filledMs = 0;
  #soundAt = 0;
  #waiting: { cancel(): void } | null = null;
  #watch: { cancel(): void } | null = null;
  #closed = false;

  constructor(options: OpusInOptions) {
    this.#rate = options.rate ?? 24_000;
    this.#options = {
      maxDelayMs: options.maxDelayMs ?? 60,
      stallMs: options.stallMs ?? 400,
      silenceMaxMs: options.silenceMaxMs ?? 10_000,
      onPcm: options.onPcm,
      clock: options.clock ?? systemClock,
    };
    this.#buffer = new JitterBuffer(Math.ceil(this.#options.maxDelayMs / FRAME_MS));
    this.#decoder = new OpusDecoder(this.#rate);
  }

  /** Takes a packet of {@link MediaPeer.onAudio}. */
  push(packet: RtpPacket): void {
    if (this.#closed || packet.payload.length === 0) return;
    const pushed = this.#buffer.push(packet);
    if (pushed === 'late') {
      this.stats.late++;
      return;
    }
    if (pushed === 'restarted') {
      this.#decoder = new OpusDecoder(this.#rate);
      this.#nextTicks = null;
    }
    this.stats.packets++;
    this.#take(false);
    if (!this.#watch) this.#look(WATCH_MS, false);
  }

  close(): void {
    this.#closed = true;
    this.#waiting?.cancel();
    this.#watch?.cancel();
  }

  #take(giveUp: boolean): void {
    for (;;) {
      const next = this.#buffer.shift(giveUp);
      if (!next) break;
      giveUp = false;
      this.#decode(next.packet, next.lost);
    }
    if (!this.#buffer.waits) {
      this.#waiting?.cancel();
      this.#waiting = null;
    } else if (!this.#waiting) {
      this.#waiting = this.#options.clock.after(this.#options.maxDelayMs, () => {
        this.#waiting = null;
        this.#take(true);
      });
    }
  }

  #decode(packet: RtpPacket, lost: number): void {
    this.stats.lost += lost;
    if (this.#nextTicks !== null) this.#bridge((packet.timestamp - this.#nextTicks) | 0, lost);
    const samples = this.#decoder.decode(packet.payload) ?? this.#broken();
    this.#filledMs = 0;
    const ticks = samples ? (samples.length * 48_000) / this.#rate : FRAME_TICKS;
    this.#nextTicks = (packet.timestamp + ticks) >>> 0;
    this.#soundAt = this.#options.clock.now();
    if (samples) this.#options.onPcm(samples);
  }

  #broken(): Int16Array | null {
    this.stats.broken++;
    return this.#decoder.conceal();
  }

  /** What belongs between two packets: frames for those that were lost, silence for a pause. */
  #bridge(ticks: number, lost: number): void {
    let missingMs = Math.min(ticks / TICKS_PER_MS, PAUSE_MS_MAX) - this.#filledMs;
    for (let n = 0; n < Math.min(lost, CONCEAL_FRAMES_MAX) && missingMs >= FRAME_MS; n++) {
      const frame = this.#decoder.conceal();
      if (!frame) break;
      missingMs -= (frame.length * 1000) / this.#rate;
      this.#options.onPcm(frame);
    }
    if (missingMs > 0) this.#silence(missingMs);
  }

  #silence(ms: number): void {
    const samples = Math.round((ms * this.#rate) / 1000);
    if (samples <= 0) return;
    this.stats.silenceMs += ms;
    this.#options.onPcm(new Int16Array(samples));
  }

  #look(ms: number, again: boolean): void {
    this.#watch = this.#options.clock.after(ms, () => this.#looked(again));
  }

  #looked(again: boolean): void {
    const { clock, stallMs, silenceMaxMs } = this.#options;
    const quietMs = clock.now() - this.#soundAt;
    if (quietMs < (this.#filledMs > 0 ? WATCH_MS : stallMs)) return this.#look(WATCH_MS, false);
    if (!again && this.#filledMs === 0) return this.#look(SECOND_LOOK_MS, true);
    const left = silenceMaxMs - this.#filledMs;
    const fill = Math.min(Math.floor(quietMs / FRAME_MS) * FRAME_MS, left);
    this.#filledMs += fill;
    this.#soundAt += fill;
    this.#silence(fill);
    // After that much silence nobody listens for the end of a word any more; the next packet begins to watch again.
    if (this.#filledMs < silenceMaxMs) this.#look(WATCH_MS, false);
    else this.#watch = null;
  }
}
