// The realtime socket of one session: GA frames out, GA frames and entries of the log in.

import {
  CLIENT_SUBPROTOCOL,
  type ErrorObject,
  type EventRecord,
  errorCodeOfClose,
  LIMITS,
  PARLEY_EVENTS_SUBPROTOCOL,
  ParleyError,
  type SessionResource,
  TOKEN_SUBPROTOCOL_PREFIX,
} from '@parley/core';
import { Emitter, type Listener } from './emitter.ts';
import { Http, httpUrl } from './http.ts';
import { encodePcm } from './pcm.ts';

/** A frame with an OpenAI Realtime GA name. Which fields it has depends on `type`. */
export type RealtimeFrame = { type: string } & Record<string, unknown>;
/** What arrives: a GA frame, an entry of the log, or a refusal of a frame that was sent. */
export type SocketFrame =
  | { type: 'parley.event'; event: EventRecord }
  | { type: 'parley.error'; error: ErrorObject }
  | RealtimeFrame;

/** How a socket ended. `error` is null after a normal close. */
export interface SocketEnd {
  code: number;
  reason: string;
  error: ParleyError | null;
}

export interface ConnectOptions {
  /** The control plane, `http://127.0.0.1:7700`. */
  url: string;
  sessionId: string;
  /** The session's `client_token`, or `key`: one of the two. Nothing on a loopback server without keys. */
  token?: string | undefined;
  key?: string | undefined;
  /** How long the handshake may take, in milliseconds. Default 10 000. */
  timeoutMs?: number | undefined;
  /** Audio that cannot leave is dropped past this many bytes in the socket's buffer. Default 1 MiB. */
  sendBufferBytesMax?: number | undefined;
  /** Frames that wait for a slow `for await`; past it the socket is closed. Default 10 000. */
  queueFramesMax?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Opens the realtime socket of a session.
 *
 * @throws ParleyError the server's own reason (`unauthenticated`, `not_found` …), or `unavailable`.
 * @example
 * const socket = await connectSession({ url, sessionId, token: session.client_token });
 * socket.sendText('Where is my order?');
 * socket.respond();
 * for await (const frame of socket) if (frame.type === 'response.done') break;
 */
export async function connectSession(options: ConnectOptions): Promise<SessionSocket> {
  const url = httpUrl(options.url);
  const origin = url.origin;
  const path = `${url.pathname.replace(/\/+$/, '')}/api/v1/sessions/${encodeURIComponent(options.sessionId)}/realtime`;
  const secret = options.token ?? options.key;
  const protocols = [CLIENT_SUBPROTOCOL, PARLEY_EVENTS_SUBPROTOCOL];
  if (secret !== undefined) protocols.push(TOKEN_SUBPROTOCOL_PREFIX + tokenText(secret));
  const socket = new WebSocket(origin.replace(/^http/, 'ws') + path, protocols);
  const session = new SessionSocket(socket, options);
  try {
    await answered(socket, session, origin, options);
  } catch (thrown) {
    throw await handshakeError(thrown, options, secret);
  }
  return session;
}

export class SessionSocket {
  /** Resolves when the socket is closed; it never rejects. */
  readonly closed: Promise<SocketEnd>;
  readonly #socket: WebSocket;
  readonly #emitter = new Emitter<{ event: SocketFrame; end: SocketEnd }>();
  readonly #sendBufferBytesMax: number;
  readonly #queueFramesMax: number;
  #droppedAudioFrames = 0;
  /** Frames that came before anybody listened. */
  #early: SocketFrame[] | null = [];

  constructor(socket: WebSocket, options: Pick<ConnectOptions, 'sendBufferBytesMax' | 'queueFramesMax'>) {
    this.#socket = socket;
    this.#sendBufferBytesMax = options.sendBufferBytesMax ?? 1024 * 1024;
    this.#queueFramesMax = options.queueFramesMax ?? 10_000;
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', (event) => {
        const end = endOf(event.code, event.reason);
        resolve(end);
        this.#emitter.emit('end', end);
      });
    });
    socket.addEventListener('message', (message) => this.#receive(message.data));
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

  /** Frames from now on, until the socket closes. @throws ParleyError when it closes with an error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SocketFrame, void, void> {
    const queue: SocketFrame[] = [];
    let end: SocketEnd | null = null;
    let wake: () => void = () => {};
    const off = [
      this.on('event', (frame) => {
        if (queue.length >= this.#queueFramesMax) {
          const error = new ParleyError('resource_exhausted', `over ${this.#queueFramesMax} frames wait to be read`);
          end ??= { code: error.closeCode, reason: error.message, error };
          this.close(error.closeCode, 'the reader is too slow');
        } else queue.push(frame);
        wake();
      }),
      this.on('end', (value) => {
        end ??= value;
        wake();
      }),
    ];
    if (this.#socket.readyState === WebSocket.CLOSED) end = await this.closed;
    try {
      for (;;) {
        const frame = queue.shift();
        if (frame !== undefined) yield frame;
        else if (end !== null) {
          if ((end as SocketEnd).error) throw (end as SocketEnd).error;
          return;
        } else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      for (const remove of off) remove();
    }
  }

  /** Sends any frame. @throws ParleyError `failed_precondition` when the socket is closed. */
  send(frame: RealtimeFrame): void {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      throw new ParleyError('failed_precondition', `the socket is closed; ${frame.type} was not sent`);
    }
    this.#socket.send(JSON.stringify(frame));
  }

  /** Sends audio: PCM16 at 24 kHz, or what the session's format is as base64. False when a full buffer dropped it. */
  appendAudio(audio: Int16Array | string): boolean {
    if (this.#socket.bufferedAmount > this.#sendBufferBytesMax) {
      this.#droppedAudioFrames += 1;
      return false;
    }
    this.send({ type: 'input_audio_buffer.append', audio: typeof audio === 'string' ? audio : encodePcm(audio) });
    return true;
  }

  /** Audio frames that were dropped because the network was too slow. */
  get droppedAudioFrames(): number {
    return this.#droppedAudioFrames;
  }

  /** Adds what the user wrote to the conversation. Nobody answers before `respond()`. */
  sendText(text: string): void {
    const content = [{ type: 'input_text', text }];
    this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
  }

  /** Ends the user's turn where the provider does not find the end by itself. */
  commit(): void {
    this.send({ type: 'input_audio_buffer.commit' });
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

  /** Closes the socket. The session goes on until somebody ends it or it was idle too long. */
  close(code = 1000, reason = ''): void {
    this.#socket.close(code, reason);
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') return this.close(4503, 'frames are text');
    const frame = frameOf(data);
    if (frame === null) return this.close(4503, 'a frame was not a JSON object with a type');
    if (this.#early === null) this.#emitter.emit('event', frame);
    else if (this.#early.push(frame) > this.#queueFramesMax) {
      this.close(new ParleyError('resource_exhausted', '').closeCode, 'nobody reads the frames');
    }
  }
}

function endOf(code: number, reason: string): SocketEnd {
  if (code === 1000 || code === 1001) return { code, reason, error: null };
  const known = errorCodeOfClose(code);
  const error = known
    ? new ParleyError(known.code, reason || `the socket was closed with ${code}`, { retryable: known.retryable })
    : new ParleyError('unavailable', reason || `the connection was lost (close code ${code})`);
  return { code, reason, error };
}

// A server may refuse after the upgrade, since browsers are shown nothing of a refused one. Its first frame tells which
// it is: `parley.error`, or the call.
function answered(socket: WebSocket, session: SessionSocket, origin: string, options: ConnectOptions): Promise<void> {
  const timeoutMs = options.timeoutMs ?? 10_000;
  return new Promise((resolve, reject) => {
    const off = new AbortController();
    const settle = (error?: ParleyError): void => {
      off.abort();
      clearTimeout(timer);
      if (!error) return resolve();
      session.close();
      reject(error);
    };
    const timer = setTimeout(() => {
      settle(new ParleyError('deadline_exceeded', `no realtime socket from ${origin} within ${timeoutMs} ms`));
    }, timeoutMs);
    const { signal } = off;
    socket.addEventListener(
      'message',
      (message) => {
        const first = typeof message.data === 'string' ? frameOf(message.data) : null;
        settle(first?.type === 'parley.error' ? ParleyError.from(first) : undefined);
      },
      { signal },
    );
    socket.addEventListener('error', () => settle(refused(origin)), { signal });
    socket.addEventListener('close', (event) => settle(endOf(event.code, event.reason).error ?? refused(origin)), {
      signal,
    });
    const stop = (): void => settle(ParleyError.from(options.signal?.reason, 'cancelled'));
    if (options.signal?.aborted) stop();
    else options.signal?.addEventListener('abort', stop, { signal });
  });
}

function frameOf(data: string): SocketFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // A peer that sends no JSON speaks something else; whoever reads closes the socket and says so.
    return null;
  }
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
    ? (value as SocketFrame)
    : null;
}

function refused(origin: string): ParleyError {
  return new ParleyError('unavailable', `${origin} did not open a realtime socket`);
}

// A WebSocket hides why its handshake was refused. The session itself, asked over HTTP with the same secret, tells.
async function handshakeError(
  thrown: unknown,
  options: ConnectOptions,
  secret: string | undefined,
): Promise<ParleyError> {
  const error = ParleyError.from(thrown, 'unavailable');
  // 1006 and its like: anything else was said by the server, and is the reason.
  if (error.code !== 'unavailable' || error.cause !== undefined) return error;
  const http = new Http({
    url: options.url,
    key: secret,
    timeoutMs: options.timeoutMs ?? 10_000,
    retries: 0,
    retryAfterMaxMs: 0,
    answerBytesMax: LIMITS.body_bytes_max,
  });
  try {
    const path = `/api/v1/sessions/${encodeURIComponent(options.sessionId)}`;
    const session = await http.json<SessionResource>('GET', path, { signal: options.signal });
    if (session.status === 'closed') {
      return new ParleyError('failed_precondition', `session ${options.sessionId} is closed`, { cause: error });
    }
    return error;
  } catch (told) {
    return ParleyError.from(told, 'unavailable');
  }
}

// What RFC 7230 lets stand in a header's token, which a subprotocol has to be.
const TOKEN_CHARS = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

function tokenText(secret: string): string {
  if (TOKEN_CHARS.test(secret)) return secret;
  throw new ParleyError('invalid_argument', "a key or token must consist of letters, digits and !#$%&'*+.^_`|~-");
}
