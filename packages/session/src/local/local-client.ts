// The client of a session that is kept here: one at a time, a newer one takes over. It speaks OpenAI Realtime, and its
// frames reach the model only where the session's `client_events` allow it.

import {
  closeCodeOf,
  type ClientEventName,
  type ErrorObject,
  type EventRecord,
  newId,
  ParleyError,
} from '@parley/core';
import { clientFrameProblem, type ModelMedia } from '@parley/providers';
import type { FrameClose, FrameSocket } from '@parley/transport';
import { wantsEvents } from './event-sockets.ts';

export interface LocalClientOptions {
  allowed: readonly ClientEventName[];
  attached(connection_id: string): void;
  detached(connection_id: string, close: FrameClose): void;
  rejected(connection_id: string, error: ErrorObject): void;
}

/** Past this much unread a client loses audio; past the second it is cut. */
const SOFT_BYTES = 1024 * 1024;
const HARD_BYTES = 16 * 1024 * 1024;
const REJECTIONS_MAX = 1_000;

export class LocalClient {
  readonly #options: LocalClientOptions;
  #socket: FrameSocket | null = null;
  #media: ModelMedia | null = null;
  #hello: Buffer | null = null;
  #rejections = 0;

  constructor(options: LocalClientOptions) {
    this.#options = options;
  }

  attach(socket: FrameSocket): void {
    this.#drop(new ParleyError('aborted', 'another connection took over this call', { retryable: false }));
    this.#socket = socket;
    this.#rejections = 0;
    socket.onClose((close) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#options.detached(socket.id, close);
    });
    this.#options.attached(socket.id);
    // Frames that come before the model is there wait in the peer.
    if (!this.#media) return socket.pause();
    // Whoever comes later is told what the first one was.
    if (this.#hello) socket.send(this.#hello);
    this.#listen(socket, this.#media);
  }

  connect(media: ModelMedia): void {
    this.#media = media;
    // The first frame of the model may come with this very line: whoever is there then is told it once.
    media.onFrame((frame, kind) => {
      this.#hello ??= frame;
      this.#deliver(frame, kind);
    });
    if (!this.#socket) return;
    this.#socket.resume();
    this.#listen(this.#socket, media);
  }

  /** An entry of the log, as clients of a control plane get it when they ask for them. */
  event(record: EventRecord): void {
    if (this.#socket && wantsEvents(this.#socket))
      this.#socket.send(`{"type":"parley.event","event":${JSON.stringify(record)}}`);
  }

  close(reason: string, error: ErrorObject | null): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#media = null;
    const code = error ? closeCodeOf(error.code, error.retryable) : 1000;
    socket?.close(code, error?.message ?? reason);
  }

  #listen(socket: FrameSocket, media: ModelMedia): void {
    socket.onFrame((frame) => this.#fromClient(socket, media, frame));
  }

  #deliver(frame: Buffer, kind: 'audio' | 'other'): void {
    const socket = this.#socket;
    if (!socket) return;
    if (kind === 'audio' && socket.bufferedBytes > SOFT_BYTES) return;
    socket.send(frame);
    if (socket.bufferedBytes <= HARD_BYTES) return;
    // It does not read, so it would not answer a closing handshake either.
    socket.terminate();
  }

  #fromClient(socket: FrameSocket, media: ModelMedia, frame: Buffer): void {
    if (this.#socket !== socket) return;
    const verdict = clientFrameProblem(frame, this.#options.allowed);
    if (!('problem' in verdict)) return media.send(frame);
    this.#rejections += 1;
    if (this.#rejections === 1) this.#options.rejected(socket.id, verdict.problem);
    if (this.#rejections >= REJECTIONS_MAX) {
      return this.#drop(
        new ParleyError('resource_exhausted', `${REJECTIONS_MAX} frames were refused`, { retryable: false }),
      );
    }
    const { code, message, details } = verdict.problem;
    const error = { type: 'invalid_request_error', code, message, param: details?.['path'] ?? null, event_id: null };
    socket.send(JSON.stringify({ type: 'error', event_id: newId('event'), error }));
  }

  #drop(error: ParleyError): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.close(error.closeCode, error.message);
    this.#options.detached(socket.id, { code: error.closeCode, reason: error.message });
  }
}
