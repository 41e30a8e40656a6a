// /api/v1/sessions/{id}/realtime-offer and /realtime-call: WebRTC, by one exchange of descriptions.

import { type CallResource, LIMITS, type OfferRequest, type OfferResponse, ParleyError } from '@parley/core';
import type { IceServers } from '../ice-servers.ts';
import { endsByMs } from '../sessions/resource.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { enumQuery, type Route, type RouteContext } from './route.ts';

export interface CallRouteDeps {
  sessions: Sessions;
  ice: IceServers;
  /** How long an offer may wait for its answer. */
  offer_ms: number;
}

export const SDP = 'application/sdp';

export function callRoutes({ sessions, ice, offer_ms }: CallRouteDeps): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/realtime-offer',
      aliases: ['/api/v1/session-instances/:id/realtime-offer'],
      summary: 'Answer an SDP offer: a WebRTC call of this session. A newer offer takes over from an older call.',
      scope: 'start',
      token: true,
      request: 'OfferRequest',
      text: { type: SDP, bytes_max: LIMITS.offer_bytes_max },
      response: 'OfferResponse',
      query: { events: '`parley`: entries of the log on the data channel too, where it ends here (media: bridge)' },
      status: 201,
      async handle(context) {
        const { params, body, query, reply } = context;
        const session_id = params['id'] as string;
        const session = await sessions.live(session_id);
        const sdp = typeof body === 'string' ? body : (body as OfferRequest).sdp;
        checkOffer(sdp);
        const wantsEvents = enumQuery(query, 'events', ['parley']) === 'parley';
        const answer_sdp = await answered((signal) => session.calls.offer(sdp, signal, wantsEvents), reply, offer_ms);
        reply.header('location', `/api/v1/sessions/${session_id}/realtime-call`).header('x-session-id', session_id);
        if (wantsJson(context)) return { answer_sdp } satisfies OfferResponse;
        reply.type(SDP);
        return answer_sdp;
      },
    },
    {
      method: 'GET',
      path: '/api/v1/sessions/:id/realtime-call',
      aliases: ['/api/v1/session-instances/:id/realtime-call'],
      summary: 'The WebRTC call of a session, and the ICE servers for it.',
      scope: 'start',
      token: true,
      response: 'CallResource',
      async handle({ params, reply }) {
        const session = await sessions.live(params['id'] as string);
        // A TURN credential is nobody's to keep.
        reply.header('cache-control', 'no-store');
        const call: CallResource = {
          session_id: session.id,
          media: session.resource().media ?? 'native',
          ...session.calls.status,
          ice_servers: ice.for({ id: session.id, until_ms: endsByMs(session.state) }),
        };
        return call;
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/sessions/:id/realtime-call',
      aliases: ['/api/v1/session-instances/:id/realtime-call'],
      summary: 'Hang up. The session ends, as when a client closes its socket.',
      scope: 'start',
      token: true,
      async handle({ params }) {
        (await sessions.live(params['id'] as string)).calls.hangUp();
      },
    },
  ];
}

/** JSON to those who sent it, or who asked for it and not for SDP. */
function wantsJson({ body, headers }: RouteContext): boolean {
  const accept = headers.accept ?? '';
  if (accept.includes(SDP)) return false;
  return typeof body !== 'string' || accept.includes('application/json');
}

export function checkOffer(sdp: string): void {
  const refused = (why: string): ParleyError =>
    new ParleyError('invalid_argument', `the body is no SDP offer: ${why}`, { details: { path: 'sdp' } });
  if (!/^v=0\r?\n/.test(sdp)) throw refused('it must begin with v=0');
  if (!/^m=audio /m.test(sdp)) throw refused('it must have an audio line');
}

/** In time, and only for as long as the caller waits. */
export async function answered<T>(
  run: (signal: AbortSignal) => Promise<T>,
  reply: RouteContext['reply'],
  offer_ms: number,
): Promise<T> {
  const abort = new AbortController();
  const late = new ParleyError('deadline_exceeded', `the offer was not answered within ${offer_ms} ms`);
  const timer = setTimeout(() => abort.abort(late), offer_ms);
  const gone = (): void => abort.abort(new ParleyError('cancelled', 'the caller is gone'));
  reply.raw.once('close', gone);
  try {
    return await run(abort.signal);
  } catch (caught) {
    throw abort.signal.aborted ? (abort.signal.reason as ParleyError) : caught;
  } finally {
    clearTimeout(timer);
    reply.raw.off('close', gone);
  }
}
