// The realtime socket of one session: GA frames out, GA frames and entries of the log in.

import {
  CLIENT_SUBPROTOCOL,
  PARLEY_EVENTS_SUBPROTOCOL,
  ParleyError,
  type SessionResource,
  TOKEN_SUBPROTOCOL_PREFIX,
} from '@parley/core';
import { endOf, FrameLine, frameOf, type RealtimeFrame, type SocketEnd, type SocketFrame } from './frame-line.ts';
import { Http, httpUrl } from './http.ts';
import { encodePcm } from './pcm.ts';

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

export class SessionSocket extends FrameLine {
  readonly path = 'websocket';
  readonly #socket: WebSocket;
  readonly #sendBufferBytesMax: number;
  #droppedAudioFrames = 0;

  constructor(socket: WebSocket, options: Pick<ConnectOptions, 'sendBufferBytesMax' | 'queueFramesMax'>) {
    super(options.queueFramesMax);
    this.#socket = socket;
    this.#sendBufferBytesMax = options.sendBufferBytesMax ?? 1024 * 1024;
    socket.addEventListener('close', (event) => this.end(endOf(event.code, event.reason)));
    socket.addEventListener('message', (message) => this.receive(message.data));
  }

  /** Frames from now on, until the socket closes. @throws ParleyError when it closes with an error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SocketFrame, void, void> {
    const queue: SocketFrame[] = [];
    let end: SocketEnd | null = null;
    let wake: () => void = () => {};
    const off = [
      this.on('event', (frame) => {
        if (queue.length >= this.queueFramesMax) {
          const error = new ParleyError('resource_exhausted', `over ${this.queueFramesMax} frames wait to be read`);
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

  /** Closes the socket. The session goes on until somebody ends it or it was idle too long. */
  close(code = 1000, reason = ''): void {
    this.#socket.close(code, fitting(reason));
  }
}

/** What a close frame has room for. */
const REASON_BYTES_MAX = 123;

/** As much of a reason as fits; a socket refuses to be closed with a longer one. */
function fitting(reason: string): string {
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(REASON_BYTES_MAX));
  return reason.slice(0, read);
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
  const http = new Http({ url: options.url, key: secret, timeoutMs: options.timeoutMs ?? 10_000, retries: 0 });
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
