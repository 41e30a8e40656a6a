// The place of a session where its client is: at most one at a time, and a newer one takes over from an older.

import { type ClientEventName, type ErrorObject, type EventRecord, newId, ParleyError } from '@parley/core';
import type { ModelMedia } from '@parley/providers';
import type { FrameClose, FrameSocket } from '@parley/transport';
import { passThrough, type Relay } from './relay.ts';

export type FrameListener = (frame: Buffer, kind: 'audio' | 'other') => void;

export interface ClientPortOptions {
  allowed: readonly ClientEventName[];
  soft_bytes: number;
  hard_bytes: number;
  patience_ms: number;
  attached: (connection_id: string) => void;
  detached: (connection_id: string, close: FrameClose) => void;
  rejected: (connection_id: string, error: ErrorObject) => void;
}

export interface AttachOptions {
  /** `parley.event` frames beside the model's. */
  wantsEvents: boolean;
  /** Frames that were allowed and are not for the model: true when it took one. */
  takes?: (frame: Buffer) => boolean;
}

interface Client {
  connection_id: string;
  socket: FrameSocket;
  wantsEvents: boolean;
  takes: ((frame: Buffer) => boolean) | undefined;
  relay: Relay | null;
  rejections: number;
}

/** Refused frames that are written down, and that are borne, for one connection. */
const REJECTIONS_LOGGED = 20;
const REJECTIONS_MAX = 1000;

export class ClientPort {
  readonly #options: ClientPortOptions;
  #client: Client | null = null;
  #media: ModelMedia | null = null;
  /** What every socket of this session is wrapped in. */
  #face: ((socket: FrameSocket) => FrameSocket) | null = null;
  /** The model's first frame: what a client waits for before it does anything. */
  #hello: Buffer | null = null;
  #dropped = 0;
  /** Those who listen to the model besides the client. */
  readonly #listeners = new Set<FrameListener>();

  constructor(options: ClientPortOptions) {
    this.#options = options;
  }

  get dropped(): number {
    return this.#dropped + (this.#client?.relay?.dropped ?? 0);
  }

  /** From now on clients are spoken to through a face of another protocol. */
  wear(face: (socket: FrameSocket) => FrameSocket): void {
    this.#face = face;
  }

  attach(given: FrameSocket, { wantsEvents, takes }: AttachOptions): void {
    const socket = this.#face?.(given) ?? given;
    const replaced = new ParleyError('aborted', 'another connection took over this call', { retryable: false });
    this.#drop(replaced.closeCode, replaced.message);
    const client: Client = { connection_id: socket.id, socket, wantsEvents, takes, relay: null, rejections: 0 };
    this.#client = client;
    socket.onClose((close) => {
      if (this.#client !== client) return;
      this.#forget(client);
      this.#options.detached(client.connection_id, close);
    });
    this.#options.attached(client.connection_id);
    // Frames that come before the model is there wait in the peer.
    if (this.#media) this.#join(client, this.#media);
    else socket.pause();
  }

  /** The model is there. */
  connect(media: ModelMedia): void {
    this.#media = media;
    media.onFrame((frame, kind) => {
      if (this.#hello === null) this.#hello = frame;
      this.#client?.relay?.deliver(frame, kind);
      for (const listener of this.#listeners) listener(frame, kind);
    });
    if (this.#client) {
      this.#client.socket.resume();
      this.#join(this.#client, media);
    }
  }

  /** The model's frames, also while no client is there. Call the result to stop. */
  listen(listener: FrameListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The way to the model; null while it is not connected. */
  get media(): ModelMedia | null {
    return this.#media;
  }

  /** An entry of the log, for a client that asked for them. */
  event(_record: EventRecord, json: string): void {
    const client = this.#client;
    if (!client?.wantsEvents) return;
    client.socket.send(`{"type":"parley.event","event":${json}}`);
    if (client.socket.bufferedBytes > this.#options.hard_bytes) this.#tooSlow(client);
  }

  /** The client hung up by other means than its connection. */
  leave(code: number, reason: string): void {
    this.#drop(code, reason);
  }

  close(code: number, reason: string): void {
    this.#drop(code, reason);
    this.#media = null;
  }

  #join(client: Client, media: ModelMedia): void {
    const { allowed, soft_bytes, hard_bytes, patience_ms } = this.#options;
    if (this.#hello) client.socket.send(this.#hello);
    client.relay = passThrough(client.socket, media, {
      allowed,
      soft_bytes,
      hard_bytes,
      patience_ms,
      takes: client.takes,
      rejected: (frame, error) => this.#rejected(client, frame, error),
      tooSlow: () => this.#tooSlow(client),
    });
  }

  #tooSlow(client: Client): void {
    const { hard_bytes } = this.#options;
    const slow = new ParleyError('resource_exhausted', `the client left more than ${hard_bytes} bytes unread`);
    client.socket.close(slow.closeCode, slow.message);
    // It does not read, so it will not answer the closing handshake either.
    client.socket.terminate();
  }

  #rejected(client: Client, frame: Buffer, error: ErrorObject): void {
    client.rejections += 1;
    if (client.rejections <= REJECTIONS_LOGGED) this.#options.rejected(client.connection_id, error);
    if (client.rejections >= REJECTIONS_MAX) {
      const tooMany = new ParleyError('resource_exhausted', `${REJECTIONS_MAX} frames were refused`, {
        retryable: false,
      });
      client.socket.close(tooMany.closeCode, tooMany.message);
      return;
    }
    client.socket.send(
      JSON.stringify({
        type: 'error',
        event_id: newId('event'),
        error: {
          type: 'invalid_request_error',
          code: error.code,
          message: error.message,
          param: error.details?.['path'] ?? null,
          event_id: eventIdOf(frame),
        },
      }),
    );
  }

  #drop(code: number, reason: string): void {
    const client = this.#client;
    if (!client) return;
    this.#forget(client);
    client.socket.close(code, reason);
    this.#options.detached(client.connection_id, { code, reason });
  }

  #forget(client: Client): void {
    client.relay?.stop();
    this.#dropped += client.relay?.dropped ?? 0;
    this.#client = null;
  }
}

function eventIdOf(frame: Buffer): string | null {
  try {
    const { event_id } = JSON.parse(frame.toString()) as { event_id?: unknown };
    return typeof event_id === 'string' ? event_id : null;
  } catch {
    return null;
  }
}
