// A client of a session that speaks OpenAI's protocol and nothing of ours. It wraps the client's socket: what the client
// wants the session to be is answered here and never reaches the model.
//
// P1  `session.update` is answered by `session.updated` with the session as it is, or by `error`; it changes nothing.
// P2  Tools run on the server. A tool of the client's that the session does not have is named in an `error`.
// P3  An end that is not the client's is told by an `error` before the close.

import { errorCodeOfClose, type ErrorObject, newId, ParleyError } from '@parley/core';
import { type FrameClose, type FrameSocket, frameType, isPlainAppend } from '@parley/transport';
import { errorEvent, openAIError } from './errors.ts';
import { isObject } from './request.ts';

type Json = Record<string, unknown>;

export interface FaceOptions {
  session_id: string;
  target: string;
  /** Names of the session's tools. */
  tools: () => readonly string[];
  /** The client asked for what it does not get. */
  rejected: (connection_id: string, error: ErrorObject) => void;
  max_duration_ms: number | undefined;
  /** Whether it says why before it closes; a data channel says so itself. */
  tells_ends: boolean;
}

/** Fields that say nothing about what the session is to be. */
const NAMES_ONLY = new Set(['type', 'object', 'id', 'model', 'expires_at', 'client_secret', 'tracing', 'include']);
/** Requests that came before the session did. */
const EARLY_MAX = 16;

export class Face implements FrameSocket {
  readonly id: string;
  readonly #inner: FrameSocket;
  readonly #options: FaceOptions;
  /** As the client was shown it last. */
  #session: Json | null = null;
  #early: Json[] = [];
  /** What was written down already. */
  readonly #told = new Set<string>();

  constructor(inner: FrameSocket, options: FaceOptions) {
    this.id = inner.id;
    this.#inner = inner;
    this.#options = options;
  }

  get open(): boolean {
    return this.#inner.open;
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes;
  }

  send(frame: Buffer | string): void {
    const type = typeof frame === 'string' ? null : frameType(frame);
    if (type !== 'session.created' && type !== 'session.updated') {
      this.#inner.send(frame);
      return;
    }
    const event = JSON.parse(frame.toString()) as Json;
    const { session_id, target } = this.#options;
    // The call by the names that its client knows, and that this server finds it by.
    this.#session = { ...(isObject(event['session']) ? event['session'] : {}), id: session_id, model: target };
    this.#inner.send(JSON.stringify({ ...event, session: this.#session }));
    for (const update of this.#early.splice(0)) this.#answer(update, this.#session);
  }

  onFrame(listener: (frame: Buffer) => void): void {
    this.#inner.onFrame((frame) => {
      const update = isPlainAppend(frame) ? null : updateIn(frame);
      if (update === null) listener(frame);
      else if (this.#session) this.#answer(update, this.#session);
      else if (this.#early.length < EARLY_MAX) this.#early.push(update);
    });
  }

  close(code = 1000, reason = ''): void {
    if (reason === 'max_duration' && code === 1000) {
      const minutes = Math.round((this.#options.max_duration_ms ?? 0) / 6000) / 10;
      const message = `Your session hit the maximum duration of ${minutes} minutes.`;
      const type = 'invalid_request_error';
      this.#inner.send(errorEvent({ message, type, code: 'session_expired', param: null }));
      this.#inner.close(1001, message);
      return;
    }
    const ours = this.#options.tells_ends ? errorCodeOfClose(code) : null;
    if (ours) this.#inner.send(errorEvent(openAIError(new ParleyError(ours.code, reason))));
    this.#inner.close(code, reason);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  onDrain(listener: () => void): void {
    this.#inner.onDrain(listener);
  }

  onClose(listener: (close: FrameClose) => void): void {
    this.#inner.onClose(listener);
  }

  terminate(): void {
    this.#inner.terminate();
  }

  #answer({ session: wanted, event_id }: Json, session: Json): void {
    const id = typeof event_id === 'string' ? event_id : null;
    const problem = problemOf(wanted, session);
    if (problem) {
      this.#refuse(problem, id);
      return;
    }
    const asked = wanted as Json;
    this.#inner.send(JSON.stringify({ type: 'session.updated', event_id: newId('event'), session }));
    const ignored = ignoredIn(asked, session);
    if (ignored.length > 0) this.#note(ignored);
    const missing = toolsOf(asked).filter((name) => !this.#options.tools().includes(name));
    if (missing.length > 0) this.#refuse(noSuchTools(missing), id);
  }

  #refuse(error: ParleyError, event_id: string | null): void {
    this.#inner.send(errorEvent(openAIError(error), event_id));
    this.#write(error);
  }

  #note(fields: string[]): void {
    const list = fields.sort().join(', ');
    this.#write(
      new ParleyError('permission_denied', `session.update changed nothing: the declaration says ${list}`, {
        details: { fields },
      }),
    );
  }

  #write(error: ParleyError): void {
    if (this.#told.has(error.message) || this.#told.size >= EARLY_MAX) return;
    this.#told.add(error.message);
    this.#options.rejected(this.id, error.toObject());
  }
}

/** The `session.update` of a frame, or null. */
function updateIn(frame: Buffer): Json | null {
  if (frameType(frame) !== 'session.update') return null;
  try {
    const value: unknown = JSON.parse(frame.toString());
    return isObject(value) && value['type'] === 'session.update' ? value : null;
  } catch {
    // The relay says what is wrong with it.
    return null;
  }
}

/** What cannot be answered with the session as it is, because the client would misread what follows. */
function problemOf(wanted: unknown, session: Json): ParleyError | null {
  if (!isObject(wanted)) {
    const openai_code = wanted === undefined ? 'missing_required_parameter' : 'invalid_type';
    return new ParleyError('invalid_argument', 'session must be an object', {
      details: { path: 'session', openai_code },
    });
  }
  if (wanted['type'] !== undefined && wanted['type'] !== 'realtime') {
    return new ParleyError('invalid_argument', "session.type must be 'realtime'", {
      details: { path: 'session.type' },
    });
  }
  for (const side of ['input', 'output']) {
    const asked = formatOf(wanted, side);
    const has = formatOf(session, side);
    if (asked === null || has === null || asked === has) continue;
    const path = `session.audio.${side}.format`;
    return new ParleyError('invalid_argument', `${path} is ${has} in this session, got ${asked}`, {
      details: { path },
    });
  }
  return null;
}

function formatOf(session: Json, side: string): string | null {
  const format = read(session, `audio.${side}.format`);
  const type = isObject(format) ? format['type'] : format;
  if (typeof type !== 'string') return null;
  return type === 'pcm16' ? 'audio/pcm' : type.slice(0, 64);
}

/** Fields, by path, that the client wants otherwise than they are. */
function ignoredIn(wanted: Json, session: Json): string[] {
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(wanted)) {
    if (NAMES_ONLY.has(name)) continue;
    if (name !== 'audio') {
      if (differs(value, session[name])) ignored.push(name.slice(0, 64));
      continue;
    }
    for (const side of ['input', 'output']) {
      const inner = read(wanted, `audio.${side}`);
      for (const [field, asked] of Object.entries(isObject(inner) ? inner : {})) {
        const path = `audio.${side}.${field.slice(0, 64)}`;
        if (field !== 'format' && differs(asked, read(session, path))) ignored.push(path);
      }
    }
  }
  return ignored.slice(0, 64);
}

/** Null and nothing are the same; of an object only what is named counts. */
function differs(asked: unknown, has: unknown): boolean {
  if (asked === undefined || asked === null) return asked === null && has !== undefined && has !== null;
  if (isObject(asked) && isObject(has)) return Object.keys(asked).some((key) => differs(asked[key], has[key]));
  return JSON.stringify(asked) !== JSON.stringify(has);
}

function read(value: Json, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : undefined), value);
}

function toolsOf({ tools }: Json): string[] {
  if (!Array.isArray(tools)) return [];
  return tools.slice(0, 128).map((tool: unknown) => {
    const { name, server_label } = isObject(tool) ? tool : {};
    const called = typeof name === 'string' ? name : server_label;
    return typeof called === 'string' ? called.slice(0, 64) : '?';
  });
}

function noSuchTools(names: string[]): ParleyError {
  return new ParleyError(
    'permission_denied',
    `tools run on the server, and this session has none named ${names.join(', ')}: declare them there; the client's own are never called`,
    { details: { path: 'session.tools', openai_code: 'tools_run_on_the_server' } },
  );
}
