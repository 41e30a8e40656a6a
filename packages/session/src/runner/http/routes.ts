// The routes, as a table: what it says is what answers, and what the OpenAPI document shows.

import { type JsonSchema, ParleyError } from '@parley/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AgentLauncher } from '../../launcher/launcher.ts';
import type { LaunchedSession } from '../../launcher/launched-session.ts';
import type { PermissionHook, RunnerServeOptions } from '../serve-options.ts';
import { ERROR_SCHEMA, fitted, LIST_QUERY, SESSION_SCHEMA, START_BODY, START_QUERY } from './bodies.ts';
import type { ClientTokens } from './client-tokens.ts';
import { launcherFigures, launcherRegistry } from './metrics.ts';

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  summary: string;
  /** A probe is asked by machines that have no key. */
  probe?: true;
  /** What follows the sessions' own prefix is answered below `/v1` too. */
  body?: JsonSchema;
  query?: JsonSchema;
  answers: Readonly<Record<number, JsonSchema>>;
  handle(request: FastifyRequest, reply: FastifyReply): unknown;
}

interface StartBody {
  call_id?: string;
  call_type?: string;
  input?: unknown;
  metadata?: Record<string, unknown>;
  queue?: boolean;
}

export interface RoutePorts {
  launcher: AgentLauncher;
  options: RunnerServeOptions;
  tokens: ClientTokens;
}

const startBody = fitted<StartBody>(START_BODY, 'the body');
const startQuery = fitted<{ wait?: string; timeout_ms?: string }>(START_QUERY, 'the query');
const listQuery = fitted<{ call_id?: string; status?: string; limit?: string; after?: string }>(
  LIST_QUERY,
  'the query',
);

const PAGE = 100;
const PAGE_MAX = 1_000;
const LIST_SCHEMA = { type: 'object', properties: { sessions: { type: 'array', items: SESSION_SCHEMA } } };
const OBJECT = { type: 'object' };

export function routesOf(ports: RoutePorts): Route[] {
  const { launcher, options } = ports;
  const registry = launcherRegistry(launcher);
  const sessions = (base: string, scoped: boolean): Route[] => [
    {
      method: 'POST',
      path: base,
      summary: 'Start an agent for a call.',
      body: scoped ? { ...START_BODY, properties: { ...START_BODY.properties, call_id: undefined } } : START_BODY,
      query: START_QUERY,
      answers: { 201: SESSION_SCHEMA, 202: SESSION_SCHEMA, 400: ERROR_SCHEMA, 429: ERROR_SCHEMA, 503: ERROR_SCHEMA },
      handle: (request, reply) => start(ports, request, reply),
    },
    {
      method: 'GET',
      path: base,
      summary: 'The sessions that run, wait, or ended not long ago.',
      query: LIST_QUERY,
      answers: { 200: LIST_SCHEMA },
      handle: (request) => list(ports, request),
    },
    {
      method: 'GET',
      path: `${base}/:session_id`,
      summary: 'One session.',
      answers: { 200: SESSION_SCHEMA, 404: ERROR_SCHEMA },
      handle: async (request) => (await found(ports, request, options.canViewSession)).toJSON(),
    },
    ...(['DELETE', 'POST'] as const).map(
      (method): Route => ({
        method,
        path: method === 'POST' ? `${base}/:session_id/close` : `${base}/:session_id`,
        summary: 'End a session. Again changes nothing.',
        answers: { 200: SESSION_SCHEMA, 202: SESSION_SCHEMA, 404: ERROR_SCHEMA },
        handle: async (request, reply) => {
          const session = await found(ports, request, options.canCloseSession);
          void session.close();
          return reply.code(session.over ? 200 : 202).send(session.toJSON());
        },
      }),
    ),
    {
      method: 'GET',
      path: `${base}/:session_id/metrics`,
      summary: 'What a call was like: turns, tools, waiting times.',
      answers: { 200: OBJECT, 404: ERROR_SCHEMA },
      handle: async (request) => {
        const session = await found(ports, request, options.canViewMetrics);
        return { session_id: session.id, ...session.report() };
      },
    },
  ];
  return [
    ...sessions('/sessions', false),
    ...sessions('/calls/:call_id/sessions', true),
    {
      method: 'GET',
      path: '/health',
      summary: 'Whether it runs and is warm.',
      probe: true,
      answers: { 200: OBJECT },
      handle: () => {
        const { phase, warmedUp } = launcher.status;
        return { status: 'ok', warmed_up: warmedUp, running: phase === 'running' };
      },
    },
    {
      method: 'GET',
      path: '/live',
      summary: 'Whether the process answers.',
      probe: true,
      answers: { 200: OBJECT },
      handle: () => ({ status: 'ok' }),
    },
    {
      method: 'GET',
      path: '/ready',
      summary: 'Whether it takes a start now: 503 while it warms up, drains, or has no place left.',
      probe: true,
      answers: { 200: OBJECT, 503: OBJECT },
      handle: (_request, reply) => {
        const { unready } = launcher;
        const { active, queued, limit, phase, warmedUp } = launcher.status;
        const body = {
          ready: unready === null,
          reason: unready,
          capacity: { limit, active, free: Math.max(0, limit - active), queued },
          draining: phase === 'draining' || phase === 'stopped',
          warmed_up: warmedUp,
        };
        return reply.code(unready === null ? 200 : 503).send(body);
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      summary: 'Figures as JSON; as Prometheus text for who accepts text/plain, or asks with ?format=prometheus.',
      answers: { 200: OBJECT },
      handle: async (request, reply) => {
        await permitted(options.canViewMetrics, request, null);
        if (!wantsText(request)) return launcherFigures(launcher.status);
        return reply.type(registry.contentType).send(await registry.metrics());
      },
    },
  ];
}

async function start({ launcher, options, tokens }: RoutePorts, request: FastifyRequest, reply: FastifyReply) {
  const body = startBody(request.body ?? {});
  const query = startQuery(request.query);
  const { call_id } = request.params as { call_id?: string };
  if (call_id !== undefined && body.call_id !== undefined && body.call_id !== call_id) {
    throw new ParleyError('invalid_argument', `call_id is '${call_id}' in the path and '${body.call_id}' in the body`);
  }
  const principal = await permitted(options.canStartSession, request, null);
  const key = request.headers['idempotency-key'];
  const session = await launcher.launch({
    callId: call_id ?? body.call_id,
    callType: body.call_type,
    input: body.input,
    metadata: body.metadata,
    queue: body.queue,
    principal,
    // Of one caller: the key of somebody else is another key.
    ...(typeof key === 'string' && { idempotencyKey: JSON.stringify([principal ?? null, key]) }),
  });
  if (query.wait === 'active') {
    const { waitMsMax = 60_000 } = options;
    await inTime(session, Math.min(Number(query.timeout_ms ?? waitMsMax), waitMsMax));
  }
  const path = `${request.url.split('?', 1)[0]?.replace(/\/calls\/[^/]+/, '')}/${session.id}`;
  reply.header('location', path);
  const client = { client_token: tokens.of(session), realtime_path: `${path}/realtime` };
  return reply.code(session.status === 'queued' ? 202 : 201).send({ ...session.toJSON(), ...client });
}

/** Waits until the agent is in its call. A session that failed answers with its own error, and with its id. */
async function inTime(session: LaunchedSession, ms: number): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const details = { session_id: session.id, status: session.status };
    reject(new ParleyError('deadline_exceeded', `the agent was not in its call within ${ms} ms`, { details }));
  }, ms);
  try {
    await Promise.race([session.active, late]);
  } catch (thrown) {
    const { code, message, retryable, details } = ParleyError.from(thrown);
    throw new ParleyError(code, message, { retryable, details: { ...details, session_id: session.id } });
  } finally {
    clearTimeout(timer);
  }
}

async function list({ launcher, options }: RoutePorts, request: FastifyRequest) {
  const { call_id } = request.params as { call_id?: string };
  const query = listQuery(request.query);
  await permitted(options.canViewSession, request, null);
  const callId = call_id ?? query.call_id;
  const all = launcher.list({
    ...(callId !== undefined && { callId }),
    ...(query.status !== undefined && { status: query.status }),
  });
  const from = query.after === undefined ? 0 : all.findIndex(({ id }) => id === query.after) + 1;
  if (query.after !== undefined && from === 0) {
    // The first page again would never end.
    throw new ParleyError(
      'invalid_argument',
      'after must be the session_id of a session that can be read and is listed',
      {
        details: { path: 'after' },
      },
    );
  }
  const limit = Math.min(Number(query.limit ?? PAGE), PAGE_MAX);
  const sessions = [];
  for (const session of all.slice(from)) {
    if (sessions.length >= limit) break;
    if (await mayView(options.canViewSession, request, session)) sessions.push(session.toJSON());
  }
  return { sessions };
}

/** Sessions that a caller may not see are left out of a list. */
async function mayView(hook: PermissionHook | undefined, request: FastifyRequest, session: LaunchedSession) {
  try {
    await permitted(hook, request, session);
    return true;
  } catch (thrown) {
    if (thrown instanceof ParleyError && thrown.code === 'permission_denied') return false;
    throw thrown;
  }
}

async function found({ launcher }: RoutePorts, request: FastifyRequest, hook: PermissionHook | undefined) {
  const { session_id, call_id } = request.params as { session_id: string; call_id?: string };
  const session = launcher.get(session_id);
  if (!session || (call_id !== undefined && session.callId !== call_id)) {
    throw new ParleyError('not_found', `no session '${session_id.slice(0, 64)}'`);
  }
  await permitted(hook, request, session);
  return session;
}

async function permitted(hook: PermissionHook | undefined, request: FastifyRequest, session: LaunchedSession | null) {
  const principal = await hook?.(request, session);
  if (principal === false) throw new ParleyError('permission_denied', 'you may not do that');
  return principal;
}

function wantsText({ headers, query }: FastifyRequest): boolean {
  const { format } = query as { format?: string };
  if (format !== undefined) return format === 'prometheus';
  return /text\/plain|openmetrics/.test(headers.accept ?? '');
}
