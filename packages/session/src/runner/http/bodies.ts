// The bodies and queries of requests, as JSON Schema: they check, and they are the OpenAPI document.

import { compileCheck, type JsonSchema, ParleyError } from '@parley/core';

export const START_BODY = {
  type: 'object',
  additionalProperties: false,
  properties: {
    call_id: { type: 'string', minLength: 1, maxLength: 128, description: 'Default: a new one.' },
    call_type: { type: 'string', maxLength: 64, description: 'Default: default.' },
    input: { description: 'For the agent; checked against its input schema.' },
    metadata: { type: 'object' },
    queue: { type: 'boolean', description: 'Wait for a place where a limit is met, and answer 202.' },
  },
} as const;

export const START_QUERY = {
  type: 'object',
  properties: {
    wait: { enum: ['active'], description: 'Answer once the agent is in its call.' },
    timeout_ms: { type: 'string', pattern: '^[0-9]{1,9}$', description: 'How long to wait.' },
  },
} as const;

export const LIST_QUERY = {
  type: 'object',
  properties: {
    call_id: { type: 'string' },
    status: { enum: ['queued', 'starting', 'active', 'closing', 'ended', 'failed'] },
    limit: { type: 'string', pattern: '^[0-9]{1,4}$', description: 'Default 100, at most 1,000.' },
    after: { type: 'string', description: 'The last session_id of the page before.' },
  },
} as const;

const TEXT = { type: 'string' };
const TIME = { type: 'string', format: 'date-time' };

export const ERROR_SCHEMA = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'retryable'],
      properties: {
        code: TEXT,
        message: TEXT,
        retryable: { type: 'boolean' },
        retry_after_ms: { type: 'number' },
        details: { type: 'object' },
        request_id: TEXT,
      },
    },
  },
} as const;

export const SESSION_SCHEMA = {
  type: 'object',
  required: ['session_id', 'call_id', 'call_type', 'status', 'started_at', 'metadata'],
  properties: {
    session_id: TEXT,
    call_id: TEXT,
    call_type: TEXT,
    status: { enum: ['queued', 'starting', 'active', 'closing', 'ended', 'failed'] },
    started_at: TIME,
    active_at: TIME,
    ended_at: TIME,
    place: { type: 'integer', minimum: 1 },
    reason: TEXT,
    error: ERROR_SCHEMA.properties.error,
    owner: TEXT,
    metadata: { type: 'object' },
    client_token: TEXT,
    realtime_path: TEXT,
  },
} as const;

/** A check of values by a schema. It throws ParleyError `invalid_argument` naming the field. */
export function fitted<T>(schema: JsonSchema, what: string): (value: unknown) => T {
  const check = compileCheck(schema);
  return (value) => {
    const problem = check(value, what);
    if (!problem) return value as T;
    throw new ParleyError('invalid_argument', problem.message, {
      details: { path: problem.path },
    });
  };
}
