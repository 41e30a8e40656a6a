// The short path of one connection: frames between client and provider, counted, and not parsed where they are sound.

import { CLIENT_EVENT_NAMES, type ErrorObject } from '@parley/core';
import { audioBytes, type FrameSocket, isPlainAppend } from '@parley/transport';
import { clientObjectProblem, parsedObject } from '../client-frame.ts';
import type { MediaCounts, ModelMedia } from '../port.ts';
import { bytesPerMs, encoded, isObject, listIn, textIn, type Wire } from './wire.ts';

/** Frames that wait for the client's side to be there. It is set in the turn in which the connection was received. */
const WAITING_MAX = 1024;

type Listener = (frame: Buffer, kind: 'audio' | 'other') => void;

export class Media implements ModelMedia {
  readonly socket: FrameSocket;
  readonly #refused: (problem: ErrorObject) => void;
  readonly #formats: { input: number; output: number };
  #listener: Listener | null = null;
  #waiting: Buffer[];
  #userBytes = 0;
  #replyBytes = 0;
  #framesIn = 0;
  #framesOut = 0;

  /** @param greeting the first frame for every client: `session.created`. */
  constructor(socket: FrameSocket, session: Wire, greeting: Buffer, refused: (problem: ErrorObject) => void) {
    this.socket = socket;
    this.#refused = refused;
    this.#waiting = [greeting];
    const audio = (session['audio'] ?? {}) as { input?: { format?: Wire }; output?: { format?: Wire } };
    this.#formats = {
      input: bytesPerMs(audio.input?.format ?? {}),
      output: bytesPerMs(audio.output?.format ?? {}),
    };
  }

  get replyBytesPerMs(): number {
    return this.#formats.output;
  }

  get userAudioMs(): number {
    return Math.round(this.#userBytes / this.#formats.input);
  }

  send(frame: Buffer): void {
    if (isPlainAppend(frame)) {
      this.#userBytes += audioBytes(frame);
      this.#framesOut += 1;
      this.socket.send(frame);
      return;
    }
    const event = parsedObject(frame);
    if (!event) return this.#refused(NOT_JSON);
    const verdict = clientObjectProblem(event, CLIENT_EVENT_NAMES);
    if ('problem' in verdict) return this.#refused(verdict.problem);
    if (verdict.kind === 'audio') this.#userBytes += audioBytes(frame);
    else if (event['type'] === 'conversation.item.create') this.#userBytes += soundOf(event['item']);
    this.#framesOut += 1;
    // Written anew: what was judged is what is sent, whichever of two equal keys the provider's parser would take.
    this.socket.send(encoded(event));
  }

  onFrame(listener: Listener): void {
    this.#listener = listener;
    for (const frame of this.#waiting.splice(0)) listener(frame, 'other');
  }

  counts(): MediaCounts {
    return {
      user_audio_ms: this.userAudioMs,
      reply_audio_ms: Math.round(this.#replyBytes / this.#formats.output),
      frames_in: this.#framesIn,
      frames_out: this.#framesOut,
    };
  }

  /** What the provider says of sound that did not come this way: of the user in all, of the reply so much more. */
  told({ user_audio_ms = 0, reply_audio_ms = 0 }: { user_audio_ms?: number; reply_audio_ms?: number }): void {
    this.#userBytes = Math.max(this.#userBytes, user_audio_ms * this.#formats.input);
    this.#replyBytes += reply_audio_ms * this.#formats.output;
  }

  /** Sound of the user, from who runs this session in the same process. */
  sendAudio(audio: Buffer): void {
    this.#userBytes += audio.length;
    this.#framesOut += 1;
    this.socket.send(`${APPEND}${audio.toString('base64')}"}`);
  }

  /** A frame came from the provider. */
  came(): void {
    this.#framesIn += 1;
  }

  /** Sound that goes to the owner and to no client. */
  replied(bytes: number): void {
    this.#replyBytes += bytes;
  }

  deliverAudio(frame: Buffer, bytes: number): void {
    this.#replyBytes += bytes;
    // Sound that nobody listens to is late when somebody does.
    this.#listener?.(frame, 'audio');
  }

  deliver(frame: Buffer): void {
    if (this.#listener) this.#listener(frame, 'other');
    else if (this.#waiting.length < WAITING_MAX) this.#waiting.push(frame);
  }
}

const APPEND = '{"type":"input_audio_buffer.append","audio":"';
/** Bytes of sound in a message that brings a whole turn. */
function soundOf(item: unknown): number {
  const parts = isObject(item) ? listIn(item, 'content') : [];
  return parts.reduce((bytes, part) => bytes + Math.floor(((textIn(part, 'audio')?.length ?? 0) * 3) / 4), 0);
}

const NOT_JSON: ErrorObject = {
  code: 'invalid_argument',
  message: 'a frame must be one JSON object',
  retryable: false,
};
