// /api/v1/sessions

import {
  type CloseRequest,
  type EventRecord,
  type SessionDeclaration,
  type SessionResource,
  type StartRequest,
  type StartResponse,
} from '@parley/core';
import type { SessionTokens } from '../access/tokens.ts';
import type { IceServers } from '../ice-servers.ts';
import { endsByMs, tokenLifeMs } from '../sessions/resource.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import { claimOf } from './claim.ts';
import { enumQuery, intQuery, type Route, type RouteContext } from './route.ts';
import type { EventStreams } from './sse.ts';

export interface SessionRouteDeps {
  sessions: Sessions;
  store: Store;
  tokens: SessionTokens;
  streams: EventStreams;
  ice: IceServers;
  now: () => number;
}

const STATUSES = ['starting', 'live', 'closing', 'closed'] as const;
const EVENTS_PAGE = 500;
const EVENTS_PAGE_MAX = 1000;

export function sessionRoutes({ sessions, store, tokens, streams, ice, now }: SessionRouteDeps): Route[] {
  const started = (resource: SessionResource, declaration: SessionDeclaration): StartResponse => {
    const { session_id, workflow_id, execution_id, target, provider, transport, model, voice, tools, created_at_ms } =
      resource;
    const expires_at_ms = now() + tokenLifeMs(declaration);
    const path = `/api/v1/sessions/${session_id}`;
    return {
      session_id,
      workflow_id,
      execution_id,
      target,
      provider,
      transport,
      model,
      voice,
      modalities: declaration.modalities,
      ...(declaration.turn_detection === undefined ? {} : { turn_detection: declaration.turn_detection }),
      tools,
      media: declaration.media,
      ...(transport === 'webrtc'
        ? { ice_servers: ice.for({ id: session_id, until_ms: endsByMs({ created_at_ms, declaration }) }) }
        : {}),
      client_token: tokens.issue(session_id, expires_at_ms),
      expires_at_ms,
      urls: {
        realtime: `${path}/realtime`,
        ...(transport === 'webrtc'
          ? { realtime_offer: `${path}/realtime-offer`, realtime_call: `${path}/realtime-call` }
          : {}),
        ...(transport === 'audio_turns' ? { turns: `${path}/turns` } : {}),
        events: `${path}/events`,
        tools: `${path}/tools/{tool}`,
        close: `${path}/close`,
        workflow: `${path}/workflow`,
      },
      created_at_ms,
    };
  };

  return [
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/start',
      aliases: ['/api/v1/session-targets/:id/start'],
      summary: 'Start a session of a target (agent.session).',
      scope: 'start',
      headers: { 'Idempotency-Key': 'the same key and request again is the same session' },
      request: 'StartRequest',
      response: 'StartResponse',
      status: 201,
      async handle(context) {
        const { params, body, reply } = context;
        const target = params['id'] as string;
        const claim = claimOf(context, 'start', target);
        const { resource, declaration, repeated } = await sessions.start(target, body as StartRequest, claim);
        if (repeated) reply.code(200);
        reply.header('x-session-id', resource.session_id).header('x-workflow-id', resource.workflow_id);
        reply.header('location', `/api/v1/sessions/${resource.session_id}`);
        return started(resource, declaration);
      },
    },
    {
      method: 'GET',
      path: '/api/v1/sessions',
      summary: 'Sessions, newest first.',
      scope: 'observe',
      response: 'SessionList',
      query: {
        status: 'starting, live, closing or closed',
        agent: 'of this agent',
        target: 'of this target',
        limit: '1 to 200, default 50',
        cursor: 'from the page before',
      },
      handle: async ({ query }) =>
        sessions.list({
          status: enumQuery(query, 'status', STATUSES),
          agent: query['agent'],
          target: query['target'],
          limit: intQuery(query, 'limit', 50, 1, 200),
          cursor: query['cursor'],
        }),
    },
    {
      method: 'GET',
      path: '/api/v1/sessions/:id',
      aliases: ['/api/v1/session-instances/:id'],
      summary: 'One session.',
      scope: 'observe',
      token: true,
      response: 'SessionResource',
      handle: async ({ params }) => sessions.resource(params['id'] as string),
    },
    {
      method: 'GET',
      path: '/api/v1/sessions/:id/events',
      aliases: ['/api/v1/session-instances/:id/events'],
      summary: 'The log after `after`: a page of JSON, or with Accept: text/event-stream all of it and what follows.',
      scope: 'observe',
      token: true,
      response: 'EventList',
      query: {
        after: 'the last seq that is known, default 0',
        limit: `1 to ${EVENTS_PAGE_MAX}, default ${EVENTS_PAGE}`,
      },
      headers: { 'Last-Event-ID': 'what `after` says, from a stream that comes back' },
      async handle(context) {
        const { params, query, headers } = context;
        const session_id = params['id'] as string;
        await sessions.resource(session_id);
        if (headers.accept?.includes('text/event-stream')) return tail(sessions, store, streams, session_id, context);
        const after = intQuery(query, 'after', 0, 0, Number.MAX_SAFE_INTEGER);
        const limit = intQuery(query, 'limit', EVENTS_PAGE, 1, EVENTS_PAGE_MAX);
        const { events, last_seq } = await store.events(session_id, after, limit);
        const reached = events.at(-1)?.seq ?? last_seq;
        return {
          events: events.map((one) => JSON.parse(one.json) as EventRecord),
          last_seq,
          has_more: reached < last_seq,
        };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/close',
      aliases: ['/api/v1/session-instances/:id/close'],
      summary: 'End a session. Ending one that has ended is not an error.',
      scope: 'start',
      headers: { 'Idempotency-Key': 'not needed: ending a session twice is ending it once' },
      token: true,
      request: 'CloseRequest',
      response: 'SessionResource',
      async handle({ params, body }) {
        const session_id = params['id'] as string;
        const { reason = 'closed' } = body as CloseRequest;
        await sessions.find(session_id)?.close(reason, 'api');
        return sessions.resource(session_id);
      },
    },
  ];
}

async function tail(
  sessions: Sessions,
  store: Store,
  streams: EventStreams,
  session_id: string,
  { query, headers, reply }: RouteContext,
): Promise<void> {
  const last = headers['last-event-id'];
  const after = intQuery(
    { after: typeof last === 'string' ? last : query['after'] },
    'after',
    0,
    0,
    Number.MAX_SAFE_INTEGER,
  );
  const stream = streams.open(reply);
  let seen = after;
  // Live records wait here until the stored ones before them were sent.
  const waiting: { id: number; type: string; json: string }[] = [];
  let caughtUp = false;
  const forward = (entry: { id: number; type: string; json: string }): void => {
    if (entry.id <= seen) return;
    seen = entry.id;
    stream.send(entry);
    if (entry.type === 'session.closed') stream.end();
  };
  const session = sessions.find(session_id);
  const stop = session?.log.subscribe((record, json) => {
    const entry = { id: record.seq, type: record.type, json };
    if (caughtUp) forward(entry);
    else waiting.push(entry);
  });
  void stream.closed.then(() => stop?.());
  // A log that could not be written any more has no last entry.
  void session?.over.then(() => {
    if (caughtUp) stream.end();
  });
  try {
    for (let more = true; more && stream.open; ) {
      const page = await store.events(session_id, seen, EVENTS_PAGE_MAX);
      for (const { seq, type, json } of page.events) forward({ id: seq, type, json });
      // A page of long entries is shorter than it was asked to be.
      more = page.events.length > 0 && seen < page.last_seq;
    }
  } catch (error) {
    // The answer began: its reader comes back and reads on from where it was.
    stream.end();
    throw error;
  }
  caughtUp = true;
  for (const entry of waiting) forward(entry);
  // Closed before we looked: the log is complete, and the reader has all of it.
  if (!sessions.find(session_id)) stream.end();
}
