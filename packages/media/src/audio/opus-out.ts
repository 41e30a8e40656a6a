// PCM in, as fast as a model makes it; Opus out, as fast as it is heard. What waits is the playout buffer: it is cut by
// `clear`, and it knows to the sample what was played.
//
// P1  Frames leave on an absolute schedule: a late timer is made up for, and an hour has 180,000 frames.
// P2  After `clear` the next frame is silent.
// P3  `playedMs` counts samples that left, and nothing that was made up.
// P4  Packets go on in silence, so that the listener's jitter buffer stays as it is.

import { type Clock, systemClock } from '@parley/transport';
import { FRAME_MS, FRAME_TICKS, OpusEncoder, type OpusOptions, type PcmRate, SILENT_PACKET } from './opus.ts';
import { PcmQueue } from './pcm-queue.ts';

export interface OpusOutOptions extends OpusOptions {
  /** Of the samples that come in. Default 24 kHz. */
  rate?: PcmRate | undefined;
  /** Sound that may wait. Default 5 minutes, 14 MB at 24 kHz. */
  maxBufferMs?: number | undefined;
  /** Takes a packet: {@link MediaPeer.sendAudio}. */
  send: (packet: Uint8Array, timestamp: number, marker: boolean) => void;
  /** The first sound of an utterance left. */
  onStarted?: (() => void) | undefined;
  /** Everything up to `end` was played. Not called for what was cleared. */
  onStopped?: (() => void) | undefined;
  clock?: Clock | undefined;
}

/** How far behind it may be and still send everything that is due: a listener's jitter buffer takes such a burst. */
const CATCH_UP_FRAMES = 25;
/** Frames of silence that go through the encoder after sound, so that it fades as it should. */
const TAIL_FRAMES = 3;
/** How long a piece that does not fill a frame waits for more. */
const PIECE_WAITS_FRAMES = 5;

export class OpusOut {
  readonly #rate: PcmRate;
  readonly #options: { readonly maxBufferMs: number; readonly send: OpusOutOptions['send']; readonly clock: Clock };
  readonly #onStarted: (() => void) | null;
  readonly #onStopped: (() => void) | null;
  readonly #encoder: OpusEncoder;
  readonly #queue = new PcmQueue();
  readonly #frame: Int16Array;
  #played = 0;
  /** `open`: more of the utterance may come; `ending`: what waits is its end. */
  #utterance: 'none' | 'open' | 'ending' = 'none';
  #started = false;
  #tail = 0;
  #pieceWaited = 0;
  #frames = 0;
  #startedAt = 0;
  #timer: { cancel(): void } | null = null;

  constructor(options: OpusOutOptions) {
    this.#rate = options.rate ?? 24_000;
    this.#options = {
      maxBufferMs: options.maxBufferMs ?? 300_000,
      send: options.send,
      clock: options.clock ?? systemClock,
    };
    this.#onStarted = options.onStarted ?? null;
    this.#onStopped = options.onStopped ?? null;
    this.#encoder = new OpusEncoder(this.#rate, options);
    this.#frame = new Int16Array((this.#rate * FRAME_MS) / 1000);
  }

  /** Milliseconds of sound that were played since the beginning; never less than before. */
  get playedMs(): number {
    return (this.#played * 1000) / this.#rate;
  }

  /** Milliseconds that wait. */
  get queuedMs(): number {
    return (this.#queue.length * 1000) / this.#rate;
  }

  /** Where the next sample pushed will stand on the time line of `playedMs`. */
  get pushedMs(): number {
    // One sum of samples: two sums of milliseconds differ in their last digits, and an end would never be reached.
    return ((this.#played + this.#queue.length) * 1000) / this.#rate;
  }

  /** Whether an utterance is being played, or waits for more of itself. */
  get playing(): boolean {
    return this.#utterance !== 'none';
  }

  /** Begins to send, silence at first. */
  start(): void {
    if (this.#timer) return;
    this.#startedAt = this.#options.clock.now();
    this.#frames = 0;
    this.#tick();
  }

  /**
   * Queues samples, in chunks of any size; they must not be changed afterwards.
   *
   * @returns false where they do not fit, and nothing was taken
   */
  push(samples: Int16Array): boolean {
    const ms = (samples.length * 1000) / this.#rate;
    if (this.queuedMs + ms > this.#options.maxBufferMs) return false;
    this.#queue.push(samples);
    this.#utterance = 'open';
    this.#pieceWaited = 0;
    return true;
  }

  /** The utterance is complete: when it was played, `onStopped` is called. */
  end(): void {
    if (this.#utterance === 'open') this.#utterance = 'ending';
  }

  /** Drops what waits; the next frame is silent. Returns how many milliseconds were not played. */
  clear(): number {
    const dropped = this.queuedMs;
    this.#queue.clear();
    this.#utterance = 'none';
    this.#started = false;
    return dropped;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#queue.clear();
    this.#utterance = 'none';
  }

  readonly #tick = (): void => {
    const { clock } = this.#options;
    const due = Math.floor((clock.now() - this.#startedAt) / FRAME_MS) + 1;
    // The machine slept, or the process was held up: what is that late is a pause, and not a burst.
    if (due - this.#frames > CATCH_UP_FRAMES) this.#frames = due - 1;
    // Listeners may close or clear us on the way.
    this.#timer = IN_TICK;
    while (this.#frames < due && this.#timer) this.#send();
    if (!this.#timer) return;
    const next = this.#startedAt + this.#frames * FRAME_MS - clock.now();
    this.#timer = clock.after(Math.max(0, next), this.#tick);
  };

  #send(): void {
    const timestamp = this.#frames * FRAME_TICKS;
    this.#frames++;
    const samples = this.#nextSamples();
    if (samples > 0) {
      this.#played += samples;
      this.#tail = TAIL_FRAMES;
      const first = !this.#started;
      this.#started = true;
      this.#options.send(this.#encoder.encode(this.#frame), timestamp, first);
      if (first) this.#onStarted?.();
      return;
    }
    if (this.#utterance === 'ending') this.#stopped();
    if (this.#tail > 0) {
      this.#tail--;
      this.#frame.fill(0);
      this.#options.send(this.#encoder.encode(this.#frame), timestamp, false);
    } else this.#options.send(SILENT_PACKET, timestamp, false);
  }

  /** Puts the next sound into the frame, unless it is a piece that more may come to. */
  #nextSamples(): number {
    const { length } = this.#queue;
    if (length === 0) return 0;
    if (length < this.#frame.length && this.#utterance === 'open' && this.#pieceWaited < PIECE_WAITS_FRAMES) {
      this.#pieceWaited++;
      return 0;
    }
    return this.#queue.fill(this.#frame);
  }

  #stopped(): void {
    this.#utterance = 'none';
    this.#started = false;
    this.#onStopped?.();
  }
}

const IN_TICK = { cancel: () => undefined };
