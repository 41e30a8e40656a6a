// The WebSocket of the door: `/v1/realtime?model=agent.session`. Whoever comes is let in (101) and told afterwards what is
// wrong, as OpenAI does: a page learns nothing of a refused upgrade. A key without the right to start is told by 403.

import type { IncomingMessage } from 'node:http';
import { ParleyError } from '@parley/core';
import { acceptFrameSocket } from '@parley/transport';
import type { WebSocket } from 'ws';
import { type Access, type Principal, require as requireScope } from '../../access/access.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { headerOf } from '../route.ts';
import { doorHeaders, isBeta } from './credential.ts';
import type { Door } from './door.ts';
import { errorEvent, type OpenAIError, openAIError } from './errors.ts';

export interface DoorSocketDeps {
  access: Access;
  door: Door;
  logger: Logger;
  now: () => number;
}

/** What is done with a socket once it is open. */
export type Serve = (ws: WebSocket) => void;

export const DOOR_PATH = /^\/v1\/realtime\/?$/;

/** OpenAI's own: a refused key, and what can never be served. */
const CLOSE_KEY = 3000;
const CLOSE_NEVER = 4000;

/**
 * Judges an upgrade.
 * @throws ParleyError for what is refused before the upgrade: a page of another origin, a key without the scope, a call
 * that is not there.
 */
export function admitSocket(request: IncomingMessage, deps: DoorSocketDeps): Serve {
  const { access, door, now } = deps;
  if (isBeta(request.headers)) return refusing(BETA, CLOSE_NEVER);
  const headers = doorHeaders(request.headers);
  let principal: Principal;
  try {
    principal = access.principal(headers, now());
  } catch (caught) {
    const error = ParleyError.from(caught, 'internal');
    if (error.code !== 'unauthenticated') throw error;
    return headers.authorization === undefined && headers['x-api-key'] === undefined
      ? refusing(NO_KEY, CLOSE_KEY, 'missing_authentication')
      : refusing(openAIError(error), CLOSE_KEY);
  }
  if (!principal.client_secret) requireScope(principal, 'start');
  const query = new URL(request.url ?? '/', 'http://door').searchParams;
  const call_id = query.get('call_id');
  if (call_id !== null) {
    // A secret learns nothing of calls, not even whether they are.
    const session = door.call(principal.client_secret ? '' : call_id);
    return refusing(sideband(session.id), CLOSE_NEVER);
  }
  const intent = query.get('intent');
  if (intent !== null && intent !== 'realtime') return refusing(noIntent(intent), CLOSE_NEVER);
  const user = headerOf(headers, 'openai-safety-identifier');
  return (ws) => void serve(ws, principal, { model: query.get('model'), user }, deps);
}

async function serve(
  ws: WebSocket,
  principal: Principal,
  { model, user }: { model: string | null; user: string | undefined },
  { door, logger }: DoorSocketDeps,
): Promise<void> {
  // Frames that come before the session was started wait in the kernel.
  ws.pause();
  try {
    const { session } = await door.open(door.wanted(principal, { model, path: 'model', user }), 'websocket');
    ws.resume();
    session.client.attach(acceptFrameSocket(ws), { wantsEvents: false });
  } catch (caught) {
    ws.resume();
    const error = ParleyError.from(caught, 'internal');
    if (error.code === 'internal') logger.error({ err: caught }, 'the OpenAI door failed');
    const told = openAIError(error);
    const never = error.details?.['openai_code'] !== undefined;
    refusing(told, never ? CLOSE_NEVER : error.closeCode)(ws);
  }
}

/** An `error`, then the close, with `type.code` as its reason. */
function refusing(error: OpenAIError, code: number, name = error.code): Serve {
  return (ws) => {
    ws.on('error', () => ws.terminate());
    ws.send(errorEvent(error));
    ws.close(code, `${error.type}.${name ?? 'refused'}`);
  };
}

const INVALID = 'invalid_request_error';
const BETA: OpenAIError = {
  message: 'The Realtime Beta API is no longer available. Please use the GA Realtime API.',
  type: INVALID,
  code: 'beta_api_shape_disabled',
  param: null,
};
const NO_KEY: OpenAIError = {
  message: 'Missing bearer or basic authentication in header',
  type: INVALID,
  code: null,
  param: null,
};

function noIntent(intent: string): OpenAIError {
  const message = `intent '${intent.slice(0, 32)}' is not served here: leave it out, and name a session target as model`;
  return { message, type: INVALID, code: 'invalid_value', param: 'intent' };
}

function sideband(session_id: string): OpenAIError {
  const path = `/api/v1/sessions/${session_id}`;
  const message = `the control plane is the sideband of this call: its tools run here. Follow it with GET ${path}/events, and steer it with POST ${path}/say, /inject, /update and /close`;
  return { message, type: INVALID, code: 'sideband_is_taken', param: 'call_id' };
}
