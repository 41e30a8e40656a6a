// What one start is asked for, checked once, before a place is taken for it.

import { newId, ParleyError } from '@parley/core';

export interface StartRequest {
  /** The call to join: 1 to 128 characters without white space. Default: a new `call_…`. */
  callId?: string | undefined;
  /** What kind of call it is; where the agent declares a session of that name, it is the one. Default `default`. */
  callType?: string | undefined;
  /** For `createAgent` and `joinCall`; checked against the launcher's `input` schema where it has one. */
  input?: unknown;
  /** Kept with the session and shown with it. */
  metadata?: Record<string, unknown> | undefined;
  /** Who asked: what `canStartSession` returned. */
  principal?: unknown;
  /** Waits for a place, in a bounded queue, where a limit is met. Default false: `resource_exhausted`. */
  queue?: boolean | undefined;
  /** A second start with the same key is the first one, for as long as that can be read. */
  idempotencyKey?: string | undefined;
}

/** A start that was checked. */
export interface Start {
  readonly callId: string;
  readonly callType: string;
  readonly input: unknown;
  readonly metadata: Record<string, unknown>;
  readonly principal: unknown;
}

const CALL_ID = /^[^\s\p{Cc}]{1,128}$/u;
const CALL_TYPE = /^[a-z][a-z0-9_-]{0,63}$/;

/** @throws ParleyError `invalid_argument`; `details.path` names the field as the wire has it. */
export function checkedStart(request: StartRequest): Start {
  const { callId = newId('call'), callType = 'default', input, metadata = {}, principal } = request;
  checkCall(callType, callId);
  return { callId, callType, input, metadata, principal };
}

/** @throws ParleyError `invalid_argument`. */
export function checkCall(callType: string, callId: string): void {
  if (typeof callId !== 'string' || !CALL_ID.test(callId)) {
    throw refused('call_id', 'call_id must be 1 to 128 characters without white space', callId);
  }
  if (typeof callType !== 'string' || !CALL_TYPE.test(callType)) {
    throw refused('call_type', `call_type must match ${CALL_TYPE.source}`, callType);
  }
}

function refused(path: string, rule: string, value: unknown): ParleyError {
  const got = typeof value === 'string' ? `'${value.slice(0, 64)}'` : typeof value;
  return new ParleyError('invalid_argument', `${rule}, got ${got}`, { details: { path } });
}
