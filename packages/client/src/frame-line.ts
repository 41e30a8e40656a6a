// What a call's frames travel on, whatever carries them: GA frames out, GA frames and entries of the log in.

import { type ErrorObject, type EventRecord, errorCodeOfClose, ParleyError } from '@parley/core';
import { Emitter, type Listener } from './emitter.ts';

/** A frame with an OpenAI Realtime GA name. Which fields it has depends on `type`. */
export type RealtimeFrame = { type: string } & Record<string, unknown>;
/** What arrives: a GA frame, an entry of the log, or a refusal of a frame that was sent. */
export type SocketFrame =
  | { type: 'parley.event'; event: EventRecord }
  | { type: 'parley.error'; error: ErrorObject }
  | RealtimeFrame;

/** How a line ended. `error` is null after a normal close. */
export interface SocketEnd {
  code: number;
  reason: string;
  error: ParleyError | null;
}

/** The frames of one session in order, both ways. */
export abstract class FrameLine {
  /** What carries it. */
  abstract readonly path: 'webrtc' | 'websocket';
  /** Resolves when the line is closed; it never rejects. */
  readonly closed: Promise<SocketEnd>;
  protected readonly queueFramesMax: number;
  readonly #emitter = new Emitter<{ event: SocketFrame; end: SocketEnd }>();
  #finish: (end: SocketEnd) => void = () => {};
  /** Frames that came before anybody listened. */
  #early: SocketFrame[] | null = [];

  constructor(queueFramesMax: number = QUEUE_FRAMES_MAX) {
    this.queueFramesMax = queueFramesMax;
    this.closed = new Promise((resolve) => (this.#finish = resolve));
  }

  /** `event`: every frame that arrives. `end`: the close. Returns what takes the listener away. */
  on(name: 'event', listener: Listener<SocketFrame>): () => void;
  on(name: 'end', listener: Listener<SocketEnd>): () => void;
  on(name: 'event' | 'end', listener: Listener<SocketFrame> | Listener<SocketEnd>): () => void {
    if (name === 'end') return this.#emitter.on('end', listener as Listener<SocketEnd>);
    const off = this.#emitter.on('event', listener as Listener<SocketFrame>);
    const early = this.#early ?? [];
    this.#early = null;
    for (const frame of early) this.#emitter.emit('event', frame);
    return off;
  }

  /** Sends any frame. @throws ParleyError `failed_precondition` when the line is closed. */
  abstract send(frame: RealtimeFrame): void;

  /** Closes the line. */
  abstract close(code?: number, reason?: string): void;

  /** Adds what the user wrote to the conversation. Nobody answers before `respond()`. */
  sendText(text: string): void {
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
  }

  /** Ends the user's turn where the provider does not find the end by itself. */
  commit(): void {
    this.send({ type: 'input_audio_buffer.commit' });
  }

  /** Forgets what was heard since the last turn. */
  clearInput(): void {
    this.send({ type: 'input_audio_buffer.clear' });
  }

  /** Asks for an answer. */
  respond(): void {
    this.send({ type: 'response.create' });
  }

  /** Stops the answer that is being generated. */
  cancel(responseId?: string): void {
    this.send(
      responseId === undefined ? { type: 'response.cancel' } : { type: 'response.cancel', response_id: responseId },
    );
  }

  /** Tells how much of an answer was heard, in milliseconds of its audio; the provider forgets the rest. */
  truncate(itemId: string, audioEndMs: number, contentIndex = 0): void {
    this.send({
      type: 'conversation.item.truncate',
      item_id: itemId,
      content_index: contentIndex,
      audio_end_ms: Math.max(0, Math.floor(audioEndMs)),
    });
  }

  /** Takes in what arrived. */
  protected receive(data: unknown): void {
    if (typeof data !== 'string') return this.close(4503, 'frames are text');
    const frame = frameOf(data);
    if (frame === null) return this.close(4503, 'a frame was not a JSON object with a type');
    if (this.#early === null) this.#emitter.emit('event', frame);
    else if (this.#early.push(frame) > this.queueFramesMax) {
      this.close(new ParleyError('resource_exhausted', '').closeCode, 'nobody reads the frames');
    }
  }

  /** The first end is the one that counts. */
  protected end(end: SocketEnd): void {
    this.#finish(end);
    this.#emitter.emit('end', end);
  }
}

const QUEUE_FRAMES_MAX = 10_000;

/** The frame in a text; null when it is none. */
export function frameOf(data: string): SocketFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // A peer that sends no JSON speaks something else; whoever reads closes the line and says so.
    return null;
  }
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
    ? (value as SocketFrame)
    : null;
}

/** What a close code says. */
export function endOf(code: number, reason: string): SocketEnd {
  if (code === 1000 || code === 1001) return { code, reason, error: null };
  const known = errorCodeOfClose(code);
  const error = known
    ? new ParleyError(known.code, reason || `the socket was closed with ${code}`, { retryable: known.retryable })
    : new ParleyError('unavailable', reason || `the connection was lost (close code ${code})`);
  return { code, reason, error };
}
