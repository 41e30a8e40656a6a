// Which session a call joins: one that was started, named by its token, or a target that is started for it.

import { ParleyError, type SessionResource, type StartRequest } from '@parley/core';
import { Http } from '../http.ts';
import { Sessions } from '../sessions.ts';
import { asProblem, callError } from './problems.ts';

/** The session: its token; or a key and its id; or a target, with a key that may start it. */
export interface CallTarget {
  /** The session's `client_token`: what a page is given. It names its session by itself. */
  token?: string | undefined;
  /** Needed where the token is none of a session: with a key, or on a loopback server without keys. */
  sessionId?: string | undefined;
  /** A Parley key. Never in a page. */
  key?: string | undefined;
  /** `agent.session`: a session of it is started for this call. */
  target?: string | undefined;
  /** What else to start it with. */
  start?: StartRequest | undefined;
}

export interface JoinOptions extends CallTarget {
  url: string;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A session that can be joined, and what it is talked to with. */
export interface Joined {
  sessions: Sessions;
  session: SessionResource;
  /** What was given: the token of the session, or a key, or nothing on a server that asks for none. */
  secret: string | undefined;
  /** Nobody else knows of it: a call that does not come about has to end it. */
  started: boolean;
}

const TIMEOUT_MS = 10_000;

/** @throws ParleyError `session_ended` or `token_expired` as its `details.problem`, or the server's reason. */
export async function join(options: JoinOptions): Promise<Joined> {
  const { url, key, target, signal } = options;
  const sessionsFor = (secret: string | undefined): Sessions =>
    new Sessions(new Http({ url, key: secret, timeoutMs: options.timeoutMs ?? TIMEOUT_MS, retries: 1 }));
  if (target !== undefined) {
    const started = await sessionsFor(options.token ?? key).start(target, options.start, { signal });
    const secret = started.client_token;
    const sessions = sessionsFor(secret);
    return { sessions, session: await sessions.get(started.session_id, { signal }), secret, started: true };
  }
  const secret = options.token ?? key;
  const id = options.sessionId ?? sessionOfToken(options.token);
  const sessions = sessionsFor(secret);
  const session = await sessions.get(id, { signal }).catch((thrown: unknown) => {
    throw expired(ParleyError.from(thrown), secret);
  });
  if (session.status === 'closed' || session.status === 'closing') throw ended(session);
  return { sessions, session, secret, started: false };
}

export function ended(session: SessionResource): ParleyError {
  const { session_id, close_reason, error } = session;
  const details = { reason: close_reason, error };
  const message = `session ${session_id} is closed (${close_reason ?? 'no reason'})`;
  return callError('session_ended', 'failed_precondition', message, { details });
}

/** Names what is behind a refused token: that its time is over. */
export function expired(error: ParleyError, secret: string | undefined): ParleyError {
  const until_ms = expiryOf(secret);
  const over = error.code === 'unauthenticated' && until_ms !== null && until_ms <= Date.now();
  return over ? asProblem('token_expired', error) : error;
}

// A session token is `pst.SESSION.EXPIRY.SIGNATURE`, its expiry in Unix milliseconds with 36 digits.
const TOKEN = /^pst\.([^.]+)\.([0-9a-z]+)\./;

function sessionOfToken(token: string | undefined): string {
  const id = TOKEN.exec(token ?? '')?.[1];
  if (id !== undefined) return id;
  throw new ParleyError('invalid_argument', 'a call needs the token of a session, or a sessionId, or a target');
}

function expiryOf(secret: string | undefined): number | null {
  const digits = TOKEN.exec(secret ?? '')?.[2];
  return digits === undefined ? null : Number.parseInt(digits, 36);
}
