// What is asked of a live session: /api/v1/sessions/{id}/tools, /say, /inject and /update. Each may be repeated under an
// `Idempotency-Key` when its answer was lost.

import {
  type EventRecord,
  type InjectRequest,
  newId,
  ParleyError,
  type SayRequest,
  type SessionResource,
  type ToolRequest,
  type UpdateRequest,
} from '@parley/core';
import type { Claim } from '../sessions/repeats.ts';
import type { Session } from '../sessions/session.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import { claimOf } from './claim.ts';
import type { Route } from './route.ts';

export function commandRoutes(sessions: Sessions, store: Store): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/tools/:tool',
      aliases: ['/api/v1/session-instances/:id/tools/:tool'],
      summary: "Call a tool of the session's allowlist; answers with the execution once it ended.",
      scope: 'start',
      token: true,
      headers: { 'Idempotency-Key': 'the same key and request again is the same call: the tool does not run again' },
      request: 'ToolRequest',
      response: 'ExecutionResource',
      async handle(context) {
        const { params, body, reply } = context;
        const session = await sessions.live(params['id'] as string);
        const asked = params['tool'] as string;
        const { input, target, call_id = newId('call') } = body as ToolRequest;
        const name = toolName(session.resource(), asked, target);
        const { execution_id, status, output, error, duration_ms, at_ms } = await logged(
          store,
          session,
          claimOf(context, 'tool', asked),
          () => session.requests.call(name, input, call_id),
        );
        const { workflow_id, execution_id: parent_execution_id, session_id } = session.resource();
        // An update may have taken it from the model since: a repeated request is answered all the same.
        const tool = session.state.tools.find((one) => one.name === name);
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
          created_at_ms: at_ms - duration_ms,
        };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/say',
      summary: 'Speak a text; answers when it was spoken or cut.',
      scope: 'start',
      headers: { 'Idempotency-Key': 'the same key and request again is the same answer, and nothing is said twice' },
      request: 'SayRequest',
      response: 'SayResponse',
      async handle(context) {
        const session = await sessions.live(context.params['id'] as string);
        const { text } = context.body as SayRequest;
        const { say_id, interrupted, spoken_text } = await logged(store, session, claimOf(context, 'say'), () =>
          session.requests.say(text, 'api'),
        );
        return { say_id, interrupted, spoken_text };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/inject',
      summary: 'Put a text into the conversation.',
      scope: 'start',
      headers: { 'Idempotency-Key': 'the same key and request again is one text' },
      request: 'InjectRequest',
      async handle(context) {
        const session = await sessions.live(context.params['id'] as string);
        const { text, respond = true } = context.body as InjectRequest;
        await session.requests.repeats.once(claimOf(context, 'inject'), () =>
          session.requests.inject(text, respond, 'api'),
        );
      },
    },
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/update',
      summary: 'Change what the model was told. Tools can only be narrowed.',
      scope: 'start',
      headers: { 'Idempotency-Key': 'the same key and request again takes back no change that came in between' },
      request: 'UpdateRequest',
      response: 'SessionResource',
      async handle(context) {
        const session = await sessions.live(context.params['id'] as string);
        const change = context.body as UpdateRequest;
        await session.requests.repeats.once(claimOf(context, 'update'), () => session.requests.update(change, 'api'));
        return session.resource();
      },
    },
  ];
}

/**
 * The entry of the log that ends what was asked. Whoever repeats a request reads it there: the session keeps its number,
 * and not what may stand in it.
 */
async function logged<E extends EventRecord>(
  store: Store,
  { id, requests }: Session,
  claim: Claim | undefined,
  run: () => Promise<E>,
): Promise<E> {
  let own: E | undefined;
  const seq = await requests.repeats.once(claim, async () => {
    own = await run();
    return own.seq;
  });
  if (own) return own;
  const { events } = await store.events(id, seq - 1, 1);
  return JSON.parse(events[0]?.json as string) as E;
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
