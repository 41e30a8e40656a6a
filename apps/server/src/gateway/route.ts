// One row for each HTTP route: what is checked at the edge stands in the row, and OpenAPI is made of the same rows.

import type { IncomingHttpHeaders } from 'node:http';
import { type ContractName, describe, ID_PREFIXES, type IdKind, isId, ParleyError } from '@parley/core';
import type { FastifyReply } from 'fastify';
import type { Principal } from '../access/access.ts';
import type { Scope } from '../access/keys.ts';

export interface RouteContext {
  params: Record<string, string>;
  query: Record<string, string | undefined>;
  /** Checked as `request`; an empty body is `{}`. */
  body: unknown;
  headers: IncomingHttpHeaders;
  principal: Principal;
  request_id: string;
  /** For status and headers. Routes that stream hijack it. */
  reply: FastifyReply;
}

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  /** `/api/v1/sessions/:id` */
  path: string;
  aliases?: string[];
  summary: string;
  /** What a key needs. `public` routes show nothing about anybody. */
  scope: Scope | 'public';
  /** A session token opens it too, for the session in `:id`. */
  token?: boolean;
  /** A client secret opens it too, for calls of its target. */
  secret?: boolean;
  request?: ContractName;
  /** A kind of body that is taken as it is, besides JSON: `body` is its text then, and not checked. */
  text?: { type: string | readonly string[]; bytes_max: number };
  /** Types of bodies that it takes besides JSON; they are handed on as a Buffer. */
  bodies?: readonly string[];
  /** Where its bodies may be longer than others. */
  body_bytes_max?: number;
  /** Bodies of another's contract: JSON is judged by the handler, and described as it stands here, by content type. */
  foreign?: { request?: Record<string, object>; response?: Record<string, object>; error: object };
  response?: ContractName;
  /** Types that it answers with besides JSON, for those who ask for them. */
  answers?: readonly string[];
  /** Default 200. */
  status?: number;
  query?: Record<string, string>;
  /** Headers that it heeds, besides those of access. */
  headers?: Record<string, string>;
  handle: (context: RouteContext) => Promise<unknown>;
}

/** A whole number from the query string. Throws `invalid_argument`. */
export function intQuery(
  query: RouteContext['query'],
  name: string,
  fallback: number,
  min: number,
  max: number,
): number {
  const value = query[name];
  if (value === undefined || value === '') return fallback;
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new ParleyError(
      'invalid_argument',
      `${name} must be an integer from ${min} to ${max}, got ${describe(value)}`,
      { details: { path: name } },
    );
  }
  return number;
}

/** One of a closed list from the query string, or undefined. Throws `invalid_argument` naming the accepted ones. */
export function enumQuery<T extends string>(
  query: RouteContext['query'],
  name: string,
  accepted: readonly T[],
): T | undefined {
  const value = query[name];
  if (value === undefined || value === '') return undefined;
  const found = accepted.find((one) => one === value);
  if (found === undefined) {
    throw new ParleyError(
      'invalid_argument',
      `${name} must be one of ${[...accepted].sort().join(', ')}; got ${describe(value)}`,
      { details: { path: name } },
    );
  }
  return found;
}

/** A header that is sent once, bounded. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined) return undefined;
  if (Array.isArray(value) || value.length > 256)
    throw new ParleyError('invalid_argument', `${name} must be sent once, with at most 256 characters`);
  return value === '' ? undefined : value;
}

/** An id in a header. Throws `invalid_argument` for one that was not made as ids are. */
export function idHeaderOf(headers: IncomingHttpHeaders, name: string, kind: IdKind): string | undefined {
  const value = headerOf(headers, name);
  if (value === undefined || isId(kind, value)) return value;
  throw new ParleyError('invalid_argument', `${name} must be an id that begins with ${ID_PREFIXES[kind]}_`, {
    details: { path: name },
  });
}
