// From an open socket to a session that the provider accepted: session.created, session.update, session.updated.

import { ParleyError } from '@parley/core';
import { type Clock, type FrameClose, type FrameSocket, frameType } from '@parley/transport';
import { BOUNDARY, closeError, providerError, type Redact } from './errors.ts';
import { decoded, encoded, objectIn, type Wire, type WireFrame } from './wire.ts';

const UPDATE_ID = 'event_session_update';
/** How long a provider that sent an error has to close the connection over it. */
const CLOSE_PATIENCE_MS = 500;

export interface HandshakeOptions {
  socket: FrameSocket;
  /** The session to ask for. */
  session: Wire;
  timeout_ms: number;
  clock: Clock;
  redact: Redact;
  signal: AbortSignal | undefined;
}

/**
 * Resolves with the session as the provider confirmed it. `resolved` is called in the same turn, before any other frame.
 *
 * @throws ParleyError as RealtimeModel.connect; the socket is closed then.
 */
export function handshake<T>(options: HandshakeOptions, resolved: (session: Wire) => T): Promise<T> {
  const { socket, session, timeout_ms, clock, redact, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let over = false;
  let refusal: ParleyError | null = null;
  let patience: { cancel(): void } | null = null;
  const settle = (): boolean => {
    if (over) return false;
    over = true;
    timer.cancel();
    patience?.cancel();
    signal?.removeEventListener('abort', aborted);
    return true;
  };
  const fail = (error: ParleyError): void => {
    if (!settle()) return;
    socket.terminate();
    reject(error);
  };
  const aborted = (): void => {
    fail(new ParleyError('cancelled', 'connecting to the provider was aborted', { details: { boundary: BOUNDARY } }));
  };
  const timer = clock.after(timeout_ms, () => {
    const message = `the provider did not accept the session within ${timeout_ms} ms`;
    fail(new ParleyError('deadline_exceeded', message, { details: { boundary: BOUNDARY } }));
  });
  const step = (event: WireFrame): void => {
    switch (event.type) {
      case 'session.created':
        socket.send(encoded({ type: 'session.update', event_id: UPDATE_ID, session }));
        break;
      case 'session.updated':
        if (settle()) resolve(resolved(objectIn(event, 'session')));
        break;
      case 'error': {
        const wire = objectIn(event, 'error');
        const error = ParleyError.from(providerError(wire, redact));
        refusal = error;
        if (wire['event_id'] === UPDATE_ID) fail(error);
        // Otherwise its close code says more: a missing key is told apart from a wrong request by 3000 alone.
        else patience = clock.after(CLOSE_PATIENCE_MS, () => fail(error));
        break;
      }
      default:
    }
  };
  signal?.addEventListener('abort', aborted, { once: true });
  socket.onClose((close: FrameClose) => {
    const error = closeError(close, refusal?.toObject(), redact);
    fail(ParleyError.from(close.code === 3000 ? { ...error, code: 'unauthenticated', retryable: false } : error));
  });
  socket.onFrame((frame) => {
    const type = frameType(frame);
    if (over || (type !== 'session.created' && type !== 'session.updated' && type !== 'error')) return;
    const event = decoded(frame);
    if (event) step(event);
  });
  if (signal?.aborted) aborted();
  return promise;
}
