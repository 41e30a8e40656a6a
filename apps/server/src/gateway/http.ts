// The HTTP edge: every request gets an id, a principal, a checked body, and every error the one shape.

import { STATUS_CODES } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { checked, newId, ParleyError } from '@parley/core';
import {
  fastify,
  type FastifyHttpsOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import { type Access, type Principal, require as requireScope } from '../access/access.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { doorHeaders, isDoor } from './door/credential.ts';
import { openAIBody } from './door/errors.ts';
import type { Route } from './route.ts';

export interface HttpDeps {
  access: Access;
  logger: Logger;
  metrics: Metrics;
  body_bytes_max: number;
  /** PEM: with it the server speaks HTTPS and nothing else. */
  tls: { cert: string; key: string } | null;
  now: () => number;
}

export function createHttp(routes: readonly Route[], deps: HttpDeps): FastifyInstance {
  const options: FastifyServerOptions = {
    bodyLimit: deps.body_bytes_max,
    genReqId: () => newId('request'),
    logger: false,
    forceCloseConnections: true,
    // Time to send a whole request; answers may stream for as long as they like.
    requestTimeout: 30_000,
    routerOptions: { maxParamLength: 256 },
    // Answers to HEAD would open event streams that nobody reads.
    exposeHeadRoutes: false,
    // What the router and the parser of HTTP refuse before a route is found has the one shape too.
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      answerError(error, request, reply, deps);
    },
    clientErrorHandler: (error, socket) => refuseBytes(error, socket),
  };
  // Sockets and answers are the same over TLS; only the type of the server differs.
  const app = deps.tls
    ? (fastify({
        ...options,
        https: deps.tls,
      } as unknown as FastifyHttpsOptions<HttpsServer>) as unknown as FastifyInstance)
    : fastify(options);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    try {
      done(null, parseBody(request, body as string));
    } catch (error) {
      done(error as Error);
    }
  });
  // Sound is bytes; whether a route takes it stands in its row.
  app.addContentTypeParser(/^audio\//i, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    cors(request, reply, deps.access);
  });
  app.addHook('onResponse', async (request, reply) => {
    deps.metrics.httpSeconds.observe(
      { route: request.routeOptions.url ?? 'none', method: request.method },
      reply.elapsedTime / 1000,
    );
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, deps));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const allowed = methodsOf(path);
    if (allowed.length > 0) reply.header('allow', allowed.join(', '));
    const hint = allowed.length > 0 ? `; it takes ${allowed.join(', ')}` : '';
    answerError(
      new ParleyError('not_found', `no route ${request.method} ${path.slice(0, 128)}${hint}`),
      request,
      reply,
      deps,
    );
  });
  const paths = routes.flatMap(({ method, path, aliases = [] }) =>
    [path, ...aliases].map((one) => ({ method, pattern: new RegExp(`^${one.replace(/:[a-z_]+/g, '[^/]+')}$`) })),
  );
  const methodsOf = (path: string): string[] => [
    ...new Set(paths.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ];
  app.options('/*', async (_request, reply) => reply.code(204).send());
  for (const route of routes) {
    for (const url of [route.path, ...(route.aliases ?? [])]) {
      app.route({
        method: route.method,
        url,
        config: { text: route.text },
        ...(route.body_bytes_max === undefined ? {} : { bodyLimit: route.body_bytes_max }),
        handler: (request, reply) => handle(route, request, reply, deps),
      });
    }
  }
  return app;
}

async function handle(route: Route, request: FastifyRequest, reply: FastifyReply, deps: HttpDeps): Promise<unknown> {
  const params = request.params as Record<string, string>;
  const headers = isDoor(request.url) ? doorHeaders(request.headers) : request.headers;
  const principal: Principal =
    route.scope === 'public' ? { id: 'anonymous', scopes: [] } : deps.access.principal(headers, deps.now());
  const bySecret = route.secret === true && principal.client_secret !== undefined;
  if (route.scope !== 'public' && !bySecret)
    requireScope(principal, route.scope, route.token ? params['id'] : undefined);
  const body = request.body ?? {};
  // Text is what the route asked for; its handler knows what it means.
  if (typeof body === 'string') return answered(route, request, reply, params, principal, body);
  if (Buffer.isBuffer(body)) checkType(route, request.headers['content-type']);
  else if (route.request) checked(route.request, body);
  else if (!route.foreign?.request && Object.keys(body).length > 0)
    throw new ParleyError('invalid_argument', 'this route takes no body');
  return answered(route, request, reply, params, principal, body);
}

async function answered(
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  params: Record<string, string>,
  principal: Principal,
  body: unknown,
): Promise<unknown> {
  reply.code(route.status ?? 200);
  const answer = await route.handle({
    params,
    query: flat(request.query),
    body,
    headers: request.headers,
    principal,
    request_id: request.id,
    reply,
  });
  return reply.sent ? reply : reply.send(answer ?? {});
}

function checkType({ bodies = [] }: Route, header = ''): void {
  const type = header.split(';')[0]?.trim().toLowerCase() ?? '';
  if (bodies.includes(type)) return;
  const accepted = ['application/json', ...bodies].join(', ');
  throw new ParleyError('invalid_argument', `the body must be one of ${accepted}; got ${type.slice(0, 64)}`);
}

function parseBody(request: FastifyRequest, text: string): unknown {
  if (text === '') return {};
  const type = request.headers['content-type'] ?? '';
  const { text: wanted } = request.routeOptions.config as { text?: Route['text'] };
  const types = [wanted?.type ?? []].flat();
  if (wanted && types.includes(type.split(';')[0]?.trim().toLowerCase() ?? '')) {
    const bytes = Buffer.byteLength(text);
    if (bytes > wanted.bytes_max) {
      throw new ParleyError('resource_exhausted', `the body is ${bytes} bytes, at most ${wanted.bytes_max} are taken`, {
        retryable: false,
        details: { limit: wanted.bytes_max, current: bytes },
      });
    }
    return text;
  }
  if (!/^application\/json\b/i.test(type)) {
    throw new ParleyError(
      'invalid_argument',
      `the body must be ${types.map((one) => `${one} or `).join('')}application/json, got ${type.slice(0, 64) || 'no content-type'}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ParleyError('invalid_argument', `the body is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ParleyError('invalid_argument', 'the body must be a JSON object');
  }
  return value;
}

function flat(query: unknown): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(query as Record<string, string | string[]>).map(([name, value]) => {
      if (Array.isArray(value)) throw new ParleyError('invalid_argument', `${name.slice(0, 64)} must be given once`);
      return [name, value];
    }),
  );
}

function cors(request: FastifyRequest, reply: FastifyReply, access: Access): void {
  const { origin } = request.headers;
  if (origin === undefined || !access.allowsOrigin(origin)) return;
  reply
    .header('access-control-allow-origin', origin)
    .header('vary', 'origin')
    .header('access-control-expose-headers', 'location, x-request-id, x-execution-id, x-session-id, x-workflow-id');
  if (request.method !== 'OPTIONS') return;
  // OpenAI's clients send headers of their own, and new ones with every release.
  const asked = isDoor(request.url) ? request.headers['access-control-request-headers'] : undefined;
  reply
    .header('access-control-allow-methods', 'GET, POST, DELETE')
    .header(
      'access-control-allow-headers',
      asked ??
        'authorization, content-type, idempotency-key, last-event-id, x-api-key, x-session-id, x-execution-id, x-parent-execution-id, x-workflow-id',
    )
    .header('access-control-max-age', '600');
}

function answerError(caught: unknown, request: FastifyRequest, reply: FastifyReply, deps: HttpDeps): void {
  const error = fromFastify(caught, request.routeOptions.bodyLimit);
  if (error.code === 'internal' || error.code === 'unknown') {
    deps.logger.error({ request_id: request.id, route: request.routeOptions.url, err: caught }, 'request failed');
  }
  deps.metrics.errors.inc({ code: error.code });
  reply.code(error.httpStatus);
  if (error.retryAfterMs !== undefined) reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
  if (error.code === 'unauthenticated') reply.header('www-authenticate', 'Bearer');
  reply.send(isDoor(request.url) ? openAIBody(error) : error.toBody(request.id));
}

/** The bytes were no HTTP, or took too long to come. */
function refuseBytes(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const slow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  refuse(
    socket,
    slow
      ? new ParleyError('deadline_exceeded', 'the request did not come in time')
      : new ParleyError('invalid_argument', 'the request is not HTTP/1.1'),
  );
}

/** Answers on a socket that has no reply, and closes it. */
export function refuse(socket: Duplex, error: ParleyError, how: { door?: boolean } = {}): void {
  const request_id = newId('request');
  const body = JSON.stringify(how.door ? openAIBody(error) : error.toBody(request_id));
  const head = [
    `HTTP/1.1 ${error.httpStatus} ${STATUS_CODES[error.httpStatus] ?? 'Refused'}`,
    'content-type: application/json',
    `x-request-id: ${request_id}`,
    'connection: close',
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  if (error.code === 'unauthenticated') head.push('www-authenticate: Bearer');
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function fromFastify(caught: unknown, body_bytes_max: number): ParleyError {
  if (caught instanceof ParleyError) return caught;
  const { code, statusCode } = caught as { code?: string; statusCode?: number };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new ParleyError('resource_exhausted', 'the body is larger than this server takes', {
      retryable: false,
      details: { limit: body_bytes_max },
    });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ParleyError('invalid_argument', (caught as Error).message);
  }
  // What went wrong inside is for our log, not for the caller.
  return new ParleyError('internal', 'something went wrong here; the request_id finds it in the log', {
    cause: caught,
  });
}
