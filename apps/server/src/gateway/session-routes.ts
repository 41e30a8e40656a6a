// /api/v1/sessions

import {
  type CloseRequest,
  type EventRecord,
  type InjectRequest,
  newId,
  ParleyError,
  type SayRequest,
  type SessionDeclaration,
  type SessionResource,
  type StartRequest,
  type StartResponse,
  type ToolRequest,
  type UpdateRequest,
} from '@parley/core';
import type { SessionTokens } from '../access/tokens.ts';
import type { IceServers } from '../ice-servers.ts';
import { endsByMs, tokenLifeMs } from '../sessions/resource.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import { fingerprintOf } from './http.ts';
import { enumQuery, headerOf, intQuery, type Route, type RouteContext } from './route.ts';
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
      async handle({ params, body, headers, principal, reply }) {
        const target = params['id'] as string;
        const key = headerOf(headers, 'idempotency-key');
        const claim =
          key === undefined
            ? undefined
            : { scope: `start:${principal.id}`, key, fingerprint: fingerprintOf(target, body) };
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
      path: '/api/v1/sessions/:id/tools/:tool',
      aliases: ['/api/v1/session-instances/:id/tools/:tool'],
      summary: "Call a tool of the session's allowlist; answers with the execution once it ended.",
      scope: 'start',
      token: true,
      headers: { 'Idempotency-Key': 'the same key again is refused, and the tool does not run again' },
      request: 'ToolRequest',
      response: 'ExecutionResource',
      async handle({ params, body, headers, reply }) {
        const session = await sessions.live(params['id'] as string);
        const key = headerOf(headers, 'idempotency-key');
        // A key names the call: repeated, it is refused as one that was made before, and its tool does not run again.
        const named = key === undefined ? newId('call') : `call_${fingerprintOf('key', key)}`;
        const { input, target, call_id = named } = body as ToolRequest;
        const name = toolName(session.resource(), params['tool'] as string, target);
        const { execution_id, status, output, error, duration_ms } = await session.requests.call(name, input, call_id);
        const { workflow_id, execution_id: parent_execution_id, session_id, tools } = session.resource();
        const tool = tools.find((one) => one.name === name);
        reply.header('x-execution-id', execution_id);
        return {
          execution_id,
          workflow_id,
          parent_execution_id,
          session_id,
          target: tool?.target ?? name,
          kind: tool?.kind ?? 'skill',
          status,
          ...(output === undefined ? {} : { output }),
          ...(error === undefined ? {} : { error }),
          duration_ms,
          created_at_ms: now() - duration_ms,
        };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/say',
      summary: 'Speak a text; answers when it was spoken or cut.',
      scope: 'start',
      request: 'SayRequest',
      response: 'SayResponse',
      async handle({ params, body }) {
        const session = await sessions.live(params['id'] as string);
        const { say_id, interrupted, spoken_text } = await session.requests.say((body as SayRequest).text, 'api');
        return { say_id, interrupted, spoken_text };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/inject',
      summary: 'Put a text into the conversation.',
      scope: 'start',
      request: 'InjectRequest',
      async handle({ params, body }) {
        const { text, respond = true } = body as InjectRequest;
        await (await sessions.live(params['id'] as string)).requests.inject(text, respond, 'api');
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/update',
      summary: 'Change what the model was told. Tools can only be narrowed.',
      scope: 'start',
      request: 'UpdateRequest',
      response: 'SessionResource',
      async handle({ params, body }) {
        const session = await sessions.live(params['id'] as string);
        await session.requests.update(body as UpdateRequest, 'api');
        return session.resource();
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/close',
      aliases: ['/api/v1/session-instances/:id/close'],
      summary: 'End a session. Ending one that has ended is not an error.',
      scope: 'start',
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

/** The exposed name of a tool that was asked for by that name or by its target. Unknown names are judged by `step`. */
function toolName(resource: SessionResource, asked: string, target: string | undefined): string {
  const tool = resource.tools.find((one) => one.name === asked || one.target === asked);
  if (target !== undefined && target !== '' && target !== tool?.target && target !== tool?.name) {
    throw new ParleyError(
      'permission_denied',
      `tool '${asked}' of this session stands for ${tool?.target ?? 'nothing'}, not for ${target.slice(0, 128)}`,
    );
  }
  return tool?.name ?? asked;
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
