// A socket to OpenAI Live that speaks OpenAI Realtime's frames.

import { newId, randomSuffix } from '@parley/core';
import { audioBytes, type Clock, type FrameClose, type FrameSocket, isPlainAppend } from '@parley/transport';
import { event } from '../openai/answer.ts';
import { decoded, encoded, objectIn, textIn, type Wire } from '../openai/wire.ts';
import type { ModelSessionOptions } from '../port.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import type { LiveSettings } from './session-config.ts';

const BYTES_PER_MS = 48;
/** How long Live has to say what the session cost, before the connection is closed. */
const CLOSED_MS = 1_000;

export class LiveSocket implements FrameSocket {
  readonly #inner: FrameSocket;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #clock: Clock;
  readonly #model: string;
  #listener: ((frame: Buffer) => void) | null = null;
  #sentBytes = 0;
  /** This side ends the session. */
  #closing: { code: number; reason: string; timer: { cancel(): void } } | null = null;
  /** Why Live ended it, when it said so. */
  #ended: string | null = null;

  constructor(inner: FrameSocket, session: ModelSessionOptions, settings: LiveSettings, clock: Clock) {
    this.#inner = inner;
    this.#clock = clock;
    this.#model = session.model;
    const emit = (frame: Buffer): void => this.#listener?.(frame);
    this.#inbound = new Inbound({
      emit,
      clock,
      sent_ms: () => Math.round(this.#sentBytes / BYTES_PER_MS),
      speaks: session.modalities.includes('audio'),
    });
    this.#outbound = new Outbound({
      session,
      settings,
      inbound: this.#inbound,
      send: (message) => inner.send(message),
      emit,
    });
  }

  get id(): string {
    return this.#inner.id;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  get open(): boolean {
    return this.#inner.open && this.#closing === null;
  }

  send(frame: Buffer | string): void {
    if (!this.open) return;
    const bytes = typeof frame === 'string' ? Buffer.from(frame) : frame;
    if (isPlainAppend(bytes)) {
      this.#sentBytes += audioBytes(bytes);
      return this.#outbound.append(bytes);
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
    // Live says nothing before session.start; whoever speaks OpenAI Realtime waits for this.
    if (first) queueMicrotask(() => listener(event('session.created', { session: this.#session('sess_new') })));
  }

  onDrain(listener: () => void): void {
    this.#inner.onDrain(listener);
  }

  onClose(listener: (close: FrameClose) => void): void {
    this.#inner.onClose((close) => {
      this.#inbound.stop();
      this.#closing?.timer.cancel();
      listener(this.#ended === null || this.#closing ? close : { code: 1001, reason: this.#ended });
    });
  }

  close(code = 1000, reason = ''): void {
    if (this.#closing) return;
    // The frames of a connection that this side ended are not for anybody.
    this.#listener = () => undefined;
    const timer = this.#clock.after(CLOSED_MS, () => this.#inner.close(code, reason));
    this.#closing = { code, reason, timer };
    this.#inner.send(encoded({ type: 'session.close', event_id: newId('event') }));
    // Its answer has to be read, whoever paused.
    this.#inner.resume();
  }

  terminate(): void {
    this.#inbound.stop();
    this.#inner.terminate();
  }

  #received(frame: Buffer): void {
    const message = decoded(frame);
    if (!message) return;
    switch (message.type) {
      case 'session.started': {
        const id = textIn(objectIn(message, 'session'), 'id') ?? `live_${randomSuffix()}`;
        this.#listener?.(event('session.updated', { session: { ...this.#session(id), ...this.#outbound.session } }));
        return;
      }
      case 'error':
        this.#failed(objectIn(message, 'error'));
        return;
      case 'session.closed':
        this.#inbound.receive(message);
        return this.#closed(textIn(message, 'reason') ?? 'closed');
      default:
        this.#inbound.receive(message);
    }
  }

  #session(id: string): Wire {
    return { type: 'realtime', object: 'realtime.session', id, model: this.#model };
  }

  #failed(given: Wire): void {
    const { client_event_id, ...rest } = given;
    const error = { param: null, ...rest, event_id: client_event_id ?? null };
    this.#listener?.(event('error', { error }));
  }

  #closed(reason: string): void {
    if (this.#closing) {
      this.#closing.timer.cancel();
      this.#inner.close(this.#closing.code, this.#closing.reason);
      return;
    }
    this.#ended = reason;
    const code = reason === 'expired' ? 'session_expired' : reason;
    const error = { type: 'server_error', code, message: `OpenAI Live ended the session: ${reason}`, param: null };
    this.#listener?.(event('error', { error: { ...error, event_id: null } }));
  }
}
