// A socket to Gemini Live that speaks OpenAI's frames: greeting, session, turns, answers and tools are translated both
// ways, so everything above it is the same for both providers.

import type { ModelSessionOptions } from '../port.ts';
import { decoded, encoded, isObject, type Wire } from '../openai/wire.ts';
import { type Clock, type FrameClose, type FrameSocket, isPlainAppend } from '@parley/transport';
import { newId, randomSuffix } from '@parley/core';
import { event } from '../openai/answer.ts';
import { errorOf } from './errors.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';

const AUDIO_KEY = Buffer.from('"audio":"');

export class GeminiSocket implements FrameSocket {
  readonly #inner: FrameSocket;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #session: Wire;
  #listener: ((frame: Buffer) => void) | null = null;
  #ready = false;

  constructor(inner: FrameSocket, session: ModelSessionOptions, clock: Clock) {
    this.#inner = inner;
    const speaks = session.modalities.includes('audio');
    this.#inbound = new Inbound({
      emit: (frame) => this.#listener?.(frame),
      sent_ms: () => this.#outbound.sent_ms,
      speaks,
      detects: speaks && session.turn_detection !== null,
      asked_only: session.responder === 'handler',
      began: () => this.#outbound.began(),
      last_item_id: session.resume_handle === undefined ? null : (session.resume_item_id ?? null),
    });
    this.#outbound = new Outbound({
      session,
      inbound: this.#inbound,
      clock,
      send: (message) => inner.send(message),
      emit: (frame) => this.#listener?.(frame),
    });
    this.#session = {
      type: 'realtime',
      object: 'realtime.session',
      id: `sess_${randomSuffix()}`,
      model: session.model,
    };
  }

  get id(): string {
    return this.#inner.id;
  }

  /** The newest handle with which the session can be taken up again. */
  get resumeHandle(): string | undefined {
    return this.#inbound.resume_handle ?? undefined;
  }

  /** Gemini is about to end the connection, in so many milliseconds. */
  onGoingAway(listener: (ms: number) => void): void {
    this.#inbound.onGoingAway = listener;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  get open(): boolean {
    return this.#inner.open;
  }

  send(frame: Buffer | string): void {
    if (!this.open) return;
    const bytes = typeof frame === 'string' ? Buffer.from(frame) : frame;
    if (isPlainAppend(bytes)) {
      const from = bytes.indexOf(AUDIO_KEY) + AUDIO_KEY.length;
      if (from >= AUDIO_KEY.length)
        return this.#outbound.audio(bytes.toString('latin1', from, bytes.indexOf(0x22, from)));
    }
    const parsed = decoded(bytes);
    if (parsed) this.#outbound.receive(parsed);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  onFrame(listener: (frame: Buffer) => void): void {
    const first = this.#listener === null;
    this.#listener = listener;
    this.#inner.onFrame((frame) => this.#received(frame));
    // Gemini says nothing before it was told what the session is; whoever speaks OpenAI's protocol waits for this.
    if (first) queueMicrotask(() => listener(event('session.created', { session: this.#session })));
  }

  onDrain(listener: () => void): void {
    this.#inner.onDrain(listener);
  }

  onClose(listener: (close: FrameClose) => void): void {
    this.#inner.onClose((close) => {
      this.#outbound.stop();
      const error = errorOf(close);
      if (error) this.#listener?.(encoded({ type: 'error', event_id: newId('event'), error }));
      listener(close);
    });
  }

  close(code?: number, reason?: string): void {
    this.#inner.close(code, reason);
  }

  terminate(): void {
    this.#inner.terminate();
  }

  #received(frame: Buffer): void {
    const message = parsed(frame);
    if (!message) return;
    if (!this.#ready && isObject(message['setupComplete'])) {
      this.#ready = true;
      const session = { ...this.#session, ...this.#outbound.session };
      this.#listener?.(event('session.updated', { session }));
    }
    this.#inbound.receive(message);
  }
}

function parsed(frame: Buffer): Wire | null {
  try {
    const value: unknown = JSON.parse(frame.toString());
    return isObject(value) ? value : null;
  } catch {
    // A provider that sends something else than JSON has said nothing.
    return null;
  }
}
