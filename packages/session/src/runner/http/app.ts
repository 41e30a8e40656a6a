// The HTTP server of a launcher: its own Fastify app, or yours with the routes added to it.
//
// P1  Your app keeps its own error handler, parsers and hooks: ours hold for our routes only.
// P2  A page of a foreign origin is answered only where `corsAllowOrigins` has it.

import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { newId, ParleyError } from '@parley/core';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AgentLauncher } from '../../launcher/launcher.ts';
import { isLoopback, keyOf, type RunnerServeOptions } from '../serve-options.ts';
import { ClientTokens } from './client-tokens.ts';
import { answerError } from './errors.ts';
import { openapiOf } from './openapi.ts';
import { acceptCalls } from './realtime-socket.ts';
import { type Route, routesOf } from './routes.ts';

const BODY_BYTES_MAX = 1024 * 1024;

/** Adds the routes to your app, or to a new one. */
export function appFor(launcher: AgentLauncher, options: RunnerServeOptions): FastifyInstance {
  const { prefix = '', bodyBytesMax = BODY_BYTES_MAX } = options;
  const app =
    options.app ??
    fastify({ genReqId: () => newId('request'), bodyLimit: bodyBytesMax, forceCloseConnections: true, logger: false });
  const tokens = new ClientTokens();
  const routes = routesOf({ launcher, options, tokens });
  void app.register(
    async (scope) => {
      scope.setErrorHandler((error, request, reply) => answerError(error, request, reply));
      // sendBeacon sends text/plain; and a body is JSON whatever its type says.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: bodyBytesMax }, (_request, body, done) => {
        if (body === '') return done(null, undefined);
        try {
          done(null, JSON.parse(body as string));
        } catch {
          done(new ParleyError('invalid_argument', 'the body is not JSON'), undefined);
        }
      });
      scope.addHook('onRequest', async (request, reply) => guard(request, reply, options));
      for (const base of ['', '/v1']) for (const route of routes) add(scope, base, route, options);
      const document = openapiOf(routes, prefix);
      scope.get('/openapi.json', () => document);
      scope.options('/*', (_request, reply) => reply.code(204).send());
    },
    { prefix },
  );
  if (!options.app) {
    app.setNotFoundHandler((request, reply) =>
      answerError(
        new ParleyError('not_found', `no route ${request.method} ${request.url.split('?', 1)[0]}`),
        request,
        reply,
      ),
    );
  }
  const stop = acceptCalls(app.server, prefix, launcher, tokens, ({ headers }) => originAllowed(headers, options));
  app.addHook('preClose', async () => stop());
  return app;
}

function add(scope: FastifyInstance, base: string, route: Route, options: RunnerServeOptions): void {
  scope.route({
    method: route.method,
    url: `${base}${route.path}`,
    exposeHeadRoute: false,
    handler: async (request, reply) => {
      if (!route.probe) checkKey(request, keyOf(options));
      return route.handle(request, reply);
    },
  });
}

async function guard(request: FastifyRequest, reply: FastifyReply, options: RunnerServeOptions): Promise<void> {
  const { origin, host = '' } = request.headers;
  reply.header('x-request-id', request.id);
  // Without a key or a hook only this machine is served, and no page may pretend to be it by its name.
  const open = keyOf(options) === undefined && !options.canStartSession;
  if (open && !isLoopback(host.replace(/:\d+$/, ''))) {
    throw new ParleyError('permission_denied', 'this server answers to the names of its own machine only');
  }
  if (origin === undefined) return;
  if (!originAllowed(request.headers, options)) {
    throw new ParleyError('permission_denied', `pages of ${origin.slice(0, 128)} may not ask: see corsAllowOrigins`);
  }
  reply.header('access-control-allow-origin', origin).header('vary', 'origin');
  if (request.method !== 'OPTIONS') return;
  reply
    .header('access-control-allow-methods', 'GET, POST, DELETE')
    .header('access-control-allow-headers', 'authorization, content-type, idempotency-key')
    .header('access-control-max-age', '600');
}

function originAllowed({ origin }: IncomingHttpHeaders, { corsAllowOrigins = [] }: RunnerServeOptions): boolean {
  if (origin === undefined || corsAllowOrigins.includes('*') || corsAllowOrigins.includes(origin)) return true;
  return URL.canParse(origin) && isLoopback(new URL(origin).hostname);
}

function checkKey(request: FastifyRequest, key: string | undefined): void {
  if (key === undefined) return;
  const given = Buffer.from(/^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '');
  const wanted = Buffer.from(key);
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
  throw new ParleyError('unauthenticated', 'this server needs its key as `Authorization: Bearer …`');
}
