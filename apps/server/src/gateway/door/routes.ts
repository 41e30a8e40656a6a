// /v1/realtime over HTTP: client secrets, and calls by one exchange of descriptions.

import { LIMITS, ParleyError } from '@parley/core';
import type { ClientSecrets } from '../../access/client-secrets.ts';
import { answered, checkOffer, SDP } from '../call-routes.ts';
import { headerOf, type Route, type RouteContext } from '../route.ts';
import type { Door } from './door.ts';
import { ERROR_SCHEMA } from './errors.ts';
import { isObject, sessionOf, shownSession } from './request.ts';

export interface DoorRouteDeps {
  door: Door;
  secrets: ClientSecrets;
  offer_ms: number;
  now: () => number;
}

const MULTIPART = 'multipart/form-data';
const SECONDS = { min: 10, max: 7200, default: 600 };
const USER_HEADER = { 'OpenAI-Safety-Identifier': 'who speaks: the same for the same user, and no name' };

export function doorRoutes({ door, secrets, offer_ms, now }: DoorRouteDeps): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/realtime/client_secrets',
      summary: 'OpenAI: a key for a page. It opens calls of one session target until it expires, and nothing else.',
      scope: 'start',
      headers: USER_HEADER,
      foreign: {
        request: { 'application/json': SECRET_REQUEST },
        response: { 'application/json': SECRET },
        error: ERROR_SCHEMA,
      },
      async handle({ body, principal, headers, reply }) {
        const { expires_after, session: given } = body as { expires_after?: unknown; session?: unknown };
        const session = sessionOf(given ?? {});
        const user = headerOf(headers, 'openai-safety-identifier');
        const frozen = door.wanted(principal, { model: session['model'], path: 'session.model', session, user });
        const now_ms = now();
        const expires_at_ms = now_ms + secondsOf(expires_after) * 1000;
        const { key } = secrets.issue(frozen, expires_at_ms, now_ms);
        reply.header('cache-control', 'no-store');
        const shown = shownSession(frozen.target, door.declared(frozen.target), frozen.request);
        return { value: key, expires_at: Math.floor(expires_at_ms / 1000), session: shown };
      },
    },
    {
      method: 'POST',
      path: '/v1/realtime/calls',
      summary: 'OpenAI: a WebRTC call. Parts `sdp` and `session`, or the bare offer with a client secret.',
      scope: 'start',
      secret: true,
      headers: USER_HEADER,
      query: { model: 'the session target, with a bare offer and a key' },
      text: { type: [SDP, MULTIPART], bytes_max: LIMITS.offer_bytes_max + LIMITS.instructions_chars_max * 4 },
      foreign: {
        request: { [SDP]: { type: 'string' }, [MULTIPART]: CALL_REQUEST },
        response: { [SDP]: { type: 'string' } },
        error: ERROR_SCHEMA,
      },
      status: 201,
      async handle(context) {
        const { principal, headers, reply } = context;
        const { sdp, session, model, path } = await offerIn(context);
        checkOffer(sdp);
        const user = headerOf(headers, 'openai-safety-identifier');
        const { session: call, call_id } = await door.open(
          door.wanted(principal, { model, path, session, user }),
          'webrtc',
        );
        try {
          const answer = await answered((signal) => call.calls.offer(sdp, signal, false), reply, offer_ms);
          reply.header('location', `/v1/realtime/calls/${call_id}`).header('x-session-id', call.id).type(SDP);
          return answer;
        } catch (caught) {
          await call.close('call_failed', 'client');
          throw caught;
        }
      },
    },
    {
      method: 'POST',
      path: '/v1/realtime/calls/:id/hangup',
      summary: 'OpenAI: end a call.',
      scope: 'start',
      foreign: { error: ERROR_SCHEMA },
      async handle({ params }) {
        await door.call(params['id'] as string).close('hung_up', 'client');
      },
    },
  ];
}

interface Offer {
  sdp: string;
  session: Record<string, unknown>;
  model: unknown;
  /** Where `model` stands in the request. */
  path: string;
}

async function offerIn({ body, headers, query, principal }: RouteContext): Promise<Offer> {
  const type = headers['content-type'] ?? '';
  if (typeof body !== 'string') {
    throw new ParleyError(
      'invalid_argument',
      `the body must be ${SDP}, or ${MULTIPART} with the parts sdp and session`,
    );
  }
  if (type.toLowerCase().startsWith(SDP)) return { sdp: body, session: {}, model: query['model'], path: 'model' };
  const parts = await formOf(body, type);
  const sdp = parts.get('sdp');
  if (sdp === undefined) throw missing('sdp');
  const given = parts.get('session');
  // A client secret says all of it.
  if (given === undefined && !principal.client_secret && query['model'] === undefined) throw missing('session');
  const session = given === undefined ? {} : sessionOf(parsed(given));
  return { sdp, session, model: session['model'] ?? query['model'], path: 'session.model' };
}

/** Parts by name, whether they came as fields or as files. */
async function formOf(body: string, type: string): Promise<Map<string, string>> {
  try {
    const form = await new Response(body, { headers: { 'content-type': type } }).formData();
    const texts = [...form].map(async ([name, part]) => [name, typeof part === 'string' ? part : await part.text()]);
    return new Map((await Promise.all(texts)) as [string, string][]);
  } catch (cause) {
    throw new ParleyError('invalid_argument', `the body is no ${MULTIPART}`, { cause });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ParleyError('invalid_argument', 'the part session is not JSON', { details: { path: 'session' }, cause });
  }
}

function missing(part: string): ParleyError {
  return new ParleyError('invalid_argument', `Missing required parameter: '${part}'.`, {
    details: { path: part, openai_code: 'missing_required_parameter' },
  });
}

function secondsOf(expires_after: unknown): number {
  if (expires_after === undefined || expires_after === null) return SECONDS.default;
  const { anchor = 'created_at', seconds = SECONDS.default } = isObject(expires_after) ? expires_after : { anchor: 0 };
  if (anchor !== 'created_at') throw refused('expires_after.anchor', "must be 'created_at'");
  if (!Number.isInteger(seconds) || (seconds as number) < SECONDS.min || (seconds as number) > SECONDS.max) {
    throw refused('expires_after.seconds', `must be an integer from ${SECONDS.min} to ${SECONDS.max}`);
  }
  return seconds as number;
}

function refused(path: string, must: string): ParleyError {
  return new ParleyError('invalid_argument', `${path} ${must}`, { details: { path } });
}

const SESSION = {
  type: 'object',
  description: 'An OpenAI Realtime session; `model` is a session target.',
  properties: { type: { const: 'realtime' }, model: { type: 'string' } },
  additionalProperties: true,
};
const SECRET_REQUEST = {
  type: 'object',
  properties: {
    session: SESSION,
    expires_after: {
      type: 'object',
      properties: {
        anchor: { const: 'created_at' },
        seconds: { type: 'integer', minimum: SECONDS.min, maximum: SECONDS.max, default: SECONDS.default },
      },
    },
  },
};
const SECRET = {
  type: 'object',
  required: ['value', 'expires_at', 'session'],
  properties: { value: { type: 'string' }, expires_at: { type: 'integer' }, session: SESSION },
};
const CALL_REQUEST = {
  type: 'object',
  required: ['sdp'],
  properties: { sdp: { type: 'string' }, session: SESSION },
};
