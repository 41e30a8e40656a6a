import { newId } from '@parley/core';
import { samplesOf } from '../audio/format.ts';
import type { Clock } from '../clock.ts';
import type { AudioFormat, ClientEvent, TurnDetection } from '../wire.ts';
import type { SessionConfig } from './config.ts';
import type { Connection } from './connection.ts';
import type { Conversation } from './conversation.ts';
import { IdleTimer } from './idle.ts';
import { type CommittedAudio, InputBuffer, type InputEvent } from './input-buffer.ts';
import { bytesOfBase64 } from './item-shape.ts';
import type { Items } from './items.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// The input side of one session: audio in, turns out.

export interface ListeningParts {
  connection: Connection;
  conversation: Conversation;
  items: Items;
  clock: Clock;
  config: () => SessionConfig;
  /** The format that sound comes in. */
  format: () => AudioFormat;
  turnMsMax: number;
  /** The user speaks over the answer. */
  interrupt: () => void;
  /** A turn ended that the server answers by itself; `idle`: the empty turn of the idle timeout. */
  respond: (idle: boolean) => void;
}

export class Listening {
  readonly #parts: ListeningParts;
  readonly #buffer: InputBuffer;
  readonly #idle: IdleTimer;
  appends = 0;
  audioBytesIn = 0;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
    this.#buffer = new InputBuffer(parts.format(), this.#detection, parts.turnMsMax);
    this.#idle = new IdleTimer(parts.clock, (startMs) => this.#idleTimeout(startMs));
  }

  get #detection(): TurnDetection | null {
    return this.#parts.config().audio.input.turn_detection;
  }

  /** The session's settings changed. */
  configure(): void {
    this.#buffer.configure(this.#parts.format(), this.#detection);
  }

  append(event: ClientEvent): void {
    const audio = event['audio'];
    if (audio === undefined) throw missing('audio');
    if (typeof audio !== 'string') throw invalid('audio', audio, 'base64 audio');
    const bytes = bytesOfBase64(audio);
    if (!bytes) {
      const message = "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value.";
      throw new WireError('invalid_value', message, 'audio');
    }
    this.appends++;
    this.hear(samplesOf(bytes, this.#parts.format()), bytes.length);
  }

  /** Takes sound. Throws the error event where it does not fit. */
  hear(samples: Int16Array, bytes: number): void {
    this.audioBytesIn += bytes;
    const happened = this.#buffer.append(samples);
    if (happened === null) return;
    if (happened === 'full') {
      const message = `The input audio buffer is at its limit of ${this.#parts.turnMsMax} ms; commit or clear it.`;
      throw new WireError('input_audio_buffer_full', message);
    }
    for (const one of happened) this.#happened(one);
  }

  #happened(event: InputEvent): void {
    const { connection } = this.#parts;
    if (event.kind === 'speech_started') {
      this.#idle.cancel();
      const started = { audio_start_ms: event.audioStartMs, item_id: event.itemId };
      connection.send({ type: 'input_audio_buffer.speech_started', ...started });
      if (this.#detection?.interrupt_response !== false) this.#parts.interrupt();
      return;
    }
    const stopped = { audio_end_ms: event.audioEndMs, item_id: event.itemId };
    connection.send({ type: 'input_audio_buffer.speech_stopped', ...stopped });
    this.#commit(event.turn);
    if (this.#detection?.create_response !== false) this.#parts.respond(false);
  }

  /** Audio of the buffer becomes an item of the conversation. */
  #commit(turn: CommittedAudio): void {
    const entry = this.#parts.items.entry({
      item: {
        id: turn.itemId,
        object: 'realtime.item',
        type: 'message',
        status: 'completed',
        role: 'user',
        content: [{ type: 'input_audio', transcript: null }],
      },
      audio: { pcm: turn.pcm, rate: turn.rate },
      audioMs: Math.round((turn.pcm.length * 1000) / turn.rate),
    });
    const before = this.#parts.conversation.insert(entry);
    const committed = { previous_item_id: before, item_id: turn.itemId };
    this.#parts.connection.send({ type: 'input_audio_buffer.committed', ...committed });
    this.#parts.items.announce(entry, before);
  }

  commit(): void {
    const turn = this.#buffer.commit();
    if (turn) return this.#commit(turn);
    const message = `Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has ${this.#buffer.lengthMs.toFixed(2)}ms of audio.`;
    throw new WireError('input_audio_buffer_commit_empty', message);
  }

  clear(): void {
    this.#buffer.clear();
    this.#parts.connection.send({ type: 'input_audio_buffer.cleared' });
  }

  /** A reply is over and will have been played at that time (Unix ms): from then on the caller may be idle. */
  replied(playedAtMs: number): void {
    const timeout = this.#detection?.idle_timeout_ms;
    if (timeout && !this.#buffer.speaking) this.#idle.arm(playedAtMs, timeout, this.#buffer.clockMs);
  }

  /** A response begins, or the session is over. */
  stopWaiting(): void {
    this.#idle.cancel();
  }

  /** Nobody spoke: an empty turn is committed, and the model prompts again. */
  #idleTimeout(startMs: number): void {
    const turn: CommittedAudio = { itemId: newId('item'), pcm: new Int16Array(0), rate: 24_000 };
    this.#parts.connection.send({
      type: 'input_audio_buffer.timeout_triggered',
      audio_start_ms: startMs,
      audio_end_ms: this.#buffer.clockMs,
      item_id: turn.itemId,
    });
    this.#commit(turn);
    this.#parts.respond(true);
  }
}
