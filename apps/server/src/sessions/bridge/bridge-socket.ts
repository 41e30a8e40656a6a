// A WebRTC client as a FrameSocket: its data channel and its microphone are one stream of frames to the model, and the
// model's frames part into the data channel and the loudspeaker. So a bridged client is a client like any other, and
// `client_events` is enforced where it is for all of them.
//
// P1  Speech over an answer silences it with the next frame, and the model is told how much of it was heard.
// P2  Sound comes as media only: an append over the data channel is refused.

import { newId } from '@parley/core';
import { type CutPart, type MediaChannel, type MediaPeer, OpusIn } from '@parley/media';
import { type FrameClose, type FrameSocket, frameType } from '@parley/transport';
import { appendOf, idOf, samplesOf } from './sound.ts';
import { Speaker } from './speaker.ts';

export interface BridgeSocketOptions {
  peer: MediaPeer;
  channel: MediaChannel;
  /** The client may speak. */
  listens: boolean;
  /** Whether speech cuts the answer that is played. */
  interrupts: () => boolean;
  /** Of an item only so much was heard. */
  truncate: (item_id: string, audio_ms: number) => void;
  /** An answer was heard to its end. */
  played: (response_id: string) => void;
}

/** Sound of the user that waits for a model that is not there yet, or reads slowly: 10 s in frames of 20 ms. */
const WAITING_MAX = 500;

export class BridgeSocket implements FrameSocket {
  readonly id: string;
  readonly #options: BridgeSocketOptions;
  readonly #speaker: Speaker;
  readonly #ear: OpusIn;
  readonly #onClose: ((close: FrameClose) => void)[] = [];
  #listener: ((frame: Buffer) => void) | null = null;
  #waiting: Buffer[] = [];
  #paused = false;
  #closed: FrameClose | null = null;
  /** What was heard of the answers that were cut last. */
  #heard: readonly CutPart[] = [];

  constructor(id: string, options: BridgeSocketOptions) {
    this.id = id;
    this.#options = options;
    const { peer, channel } = options;
    this.#speaker = new Speaker({
      send: (packet, timestamp, marker) => void peer.sendAudio(packet, timestamp, marker),
      started: (response_id) => this.#tell('output_audio_buffer.started', response_id),
      stopped: (response_id) => {
        this.#tell('output_audio_buffer.stopped', response_id);
        options.played(response_id);
      },
    });
    this.#ear = new OpusIn({ onPcm: (samples) => this.#hear(samples) });
    if (options.listens) peer.onAudio((packet) => this.#ear.push(packet));
    channel.onClose(() => this.#over({ code: 1006, reason: 'the data channel was closed' }));
    peer.onEnd((end) => {
      const reason = end.kind === 'failed' ? end.error.message : 'the peer connection was closed';
      this.#over({ code: 1006, reason });
    });
  }

  get open(): boolean {
    return this.#closed === null && this.#options.channel.open;
  }

  get bufferedBytes(): number {
    return this.#closed ? 0 : this.#options.channel.bufferedBytes;
  }

  /** Answers whose sound did not fit into the playout buffer lost so many frames. */
  get dropped(): number {
    return this.#speaker.dropped;
  }

  send(frame: Buffer | string): void {
    if (this.#closed) return;
    const { channel } = this.#options;
    if (typeof frame === 'string') {
      channel.send(frame);
      return;
    }
    switch (frameType(frame)) {
      case 'response.output_audio.delta':
        this.#speak(frame);
        return;
      case 'response.created':
        this.#responseIn(frame, (response_id) => this.#speaker.generating(response_id));
        break;
      case 'response.done':
        this.#responseIn(frame, (response_id) => this.#speaker.finish(response_id));
        break;
      case 'input_audio_buffer.speech_started':
        channel.send(frame);
        if (this.#options.interrupts()) this.#cut();
        return;
      default:
    }
    channel.send(frame);
  }

  /** A client's frame that was allowed, and that is for whoever plays, not for the model. */
  takes(frame: Buffer): boolean {
    if (frameType(frame) !== 'output_audio_buffer.clear') return false;
    this.#cut();
    return true;
  }

  /** How much was heard of an answer that was cut a moment ago. */
  heardMs(response_id: string): number | undefined {
    const parts = this.#heard.filter(({ answer }) => answer === response_id);
    return parts.length === 0 ? undefined : parts.reduce((sum, { playedMs }) => sum + playedMs, 0);
  }

  plays(response_id: string): boolean {
    return this.#speaker.plays(response_id);
  }

  pause(): void {
    this.#paused = true;
    this.#options.channel.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#options.channel.resume();
    this.#deliver();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#listener = listener;
    this.#options.channel.onFrame((frame) => this.#fromChannel(frame));
    queueMicrotask(() => this.#deliver());
  }

  onDrain(listener: () => void): void {
    this.#options.channel.onDrain(listener);
  }

  onClose(listener: (close: FrameClose) => void): void {
    const closed = this.#closed;
    if (closed) queueMicrotask(() => listener(closed));
    else this.#onClose.push(listener);
  }

  /** The far end of a data channel sees no code, so an unhappy end is told before. */
  close(code = 1000, reason = ''): void {
    if (this.#closed) return;
    const { channel, peer } = this.#options;
    if (code >= 4000) channel.send(errorFrame(reason));
    channel.onClose(() => peer.close());
    channel.close(code, reason);
    this.#over({ code, reason });
  }

  terminate(): void {
    this.#over({ code: 1006, reason: '' });
    this.#options.peer.close();
  }

  #speak(frame: Buffer): void {
    const response_id = idOf(frame, 'response_id');
    const item_id = idOf(frame, 'item_id');
    const samples = samplesOf(frame);
    if (response_id !== null && item_id !== null && samples) this.#speaker.push(response_id, item_id, samples);
  }

  #cut(): void {
    const parts = this.#speaker.cut();
    this.#heard = parts;
    const [first] = parts;
    if (first && first.playedMs > 0) this.#tell('output_audio_buffer.cleared', first.answer);
    for (const { part, playedMs } of parts) this.#options.truncate(part, playedMs);
  }

  #tell(type: string, response_id: string): void {
    this.#options.channel.send(JSON.stringify({ type, event_id: newId('event'), response_id }));
  }

  #responseIn(frame: Buffer, use: (response_id: string) => void): void {
    const { response } = JSON.parse(frame.toString()) as { response?: { id?: unknown } };
    if (typeof response?.id === 'string') use(response.id);
  }

  #fromChannel(frame: Buffer): void {
    if (frameType(frame) === 'input_audio_buffer.append') {
      this.#options.channel.send(errorFrame('sound comes over the media line of a call, not over its data channel'));
      return;
    }
    this.#listener?.(frame);
  }

  #hear(samples: Int16Array): void {
    if (this.#closed) return;
    const frame = appendOf(samples);
    if (this.#listener && !this.#paused && this.#waiting.length === 0) {
      this.#listener(frame);
      return;
    }
    this.#waiting.push(frame);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
  }

  #deliver(): void {
    while (this.#listener && !this.#paused && !this.#closed) {
      const frame = this.#waiting.shift();
      if (!frame) return;
      this.#listener(frame);
    }
  }

  #over(close: FrameClose): void {
    if (this.#closed) return;
    this.#closed = close;
    this.#waiting = [];
    this.#ear.close();
    this.#speaker.close();
    for (const listener of this.#onClose.splice(0)) listener(close);
  }
}

function errorFrame(message: string): string {
  const error = { type: 'invalid_request_error', code: 'aborted', message, param: null, event_id: null };
  return JSON.stringify({ type: 'error', event_id: newId('event'), error });
}
