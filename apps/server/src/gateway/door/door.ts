// The OpenAI door: sessions for clients that speak OpenAI Realtime and know nothing of Parley. `model` names a session
// target, the key is a key of this server or a client secret, and what follows is a session like any other.

import { ParleyError, parseTarget, type SessionDeclaration } from '@parley/core';
import type { Principal } from '../../access/access.ts';
import type { FrozenStart } from '../../access/client-secrets.ts';
import type { AgentDirectory } from '../../agents/ports.ts';
import type { Session } from '../../sessions/session.ts';
import type { Sessions } from '../../sessions/sessions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { Face } from './face.ts';
import { startOf, targetOf } from './request.ts';

export interface DoorDeps {
  sessions: Sessions;
  agents: AgentDirectory;
  logger: Logger;
}

export interface Opened {
  session: Session;
  call_id: string;
}

type Transport = 'websocket' | 'webrtc';

const ELSEWHERE: Record<Transport, string> = {
  websocket: 'connect to /v1/realtime with a WebSocket',
  webrtc: 'send an offer to /v1/realtime/calls',
};

/** What of its log says that a session's client is gone, and why it ends then. */
const ENDS: Readonly<Record<string, string>> = { 'client.detached': 'client_left', 'call.failed': 'call_failed' };

export class Door {
  readonly #deps: DoorDeps;

  constructor(deps: DoorDeps) {
    this.#deps = deps;
  }

  /**
   * What somebody may start: the target of their secret, or the one that they name, who holds a key.
   * @param path the name of `model` in their request.
   * @throws ParleyError `not_found` (`model_not_found`), `invalid_argument`, `permission_denied` (not the secret's).
   */
  wanted(
    principal: Principal,
    asked: { model: unknown; path: string; session?: Record<string, unknown>; user?: string | undefined },
  ): FrozenStart {
    const { client_secret } = principal;
    const { model, path, session = {}, user } = asked;
    if (client_secret) {
      if (model !== undefined && model !== null && model !== client_secret.target) {
        throw new ParleyError('permission_denied', `this client secret is for the model '${client_secret.target}'`, {
          details: { path },
        });
      }
      return client_secret;
    }
    const target = targetOf(model ?? undefined, path);
    return { target, request: startOf(this.declared(target), session, user) };
  }

  /** The declaration of a target. @throws ParleyError `not_found` (`model_not_found`). */
  declared(target: string): SessionDeclaration {
    const missing = (why: string): ParleyError =>
      new ParleyError('not_found', `The model \`${target}\` does not exist or you do not have access to it: ${why}`, {
        details: { openai_code: 'model_not_found', path: 'model' },
      });
    let parsed: { agent: string; name: string };
    try {
      parsed = parseTarget(target);
    } catch (caught) {
      throw missing(ParleyError.from(caught).message);
    }
    const declared = this.#deps.agents.session(parsed.agent, parsed.name);
    if (!declared) throw missing(`no connected agent ${parsed.agent} offers session '${parsed.name}'`);
    return declared;
  }

  /** Starts a session whose client comes over this transport, and speaks OpenAI's protocol to it. */
  async open({ target, request }: FrozenStart, transport: Transport): Promise<Opened> {
    const declared = this.declared(target);
    if (declared.transport !== transport) {
      const elsewhere = ELSEWHERE[declared.transport as Transport] ?? 'use the HTTP interface of this server';
      throw new ParleyError(
        'failed_precondition',
        `the session '${target}' is declared with transport '${declared.transport}': ${elsewhere}`,
        { details: { path: 'model', transport: declared.transport } },
      );
    }
    const { sessions, logger } = this.#deps;
    const { resource, declaration } = await sessions.start(target, request);
    const session = sessions.get(resource.session_id);
    session.client.wear(
      (socket) =>
        new Face(socket, {
          session_id: session.id,
          target,
          tools: () => session.resource().tools.map(({ name }) => name),
          rejected: (connection_id, error) => session.record({ type: 'client.rejected', connection_id, error }),
          max_duration_ms: declaration.limits.max_duration_ms,
          tells_ends: transport === 'websocket',
        }),
    );
    // A client of OpenAI knows no way back to its session.
    session.log.subscribe(({ type }) => {
      const reason = ENDS[type];
      if (reason === undefined) return;
      session
        .close(reason, 'client')
        .catch((error: unknown) =>
          logger.error({ session_id: session.id, err: error }, 'a session could not be ended'),
        );
    });
    return { session, call_id: callIdOf(session.id) };
  }

  /** The session of a call. @throws ParleyError `not_found` (`call_id_not_found`). */
  call(call_id: string): Session {
    const suffix = /^rtc_([0-9a-z]{1,64})$/.exec(call_id)?.[1];
    const session = suffix === undefined ? undefined : this.#deps.sessions.find(`sess_${suffix}`);
    if (session && session.resource().transport === 'webrtc') return session;
    throw new ParleyError('not_found', 'No session found for the provided call_id', {
      details: { openai_code: 'call_id_not_found' },
    });
  }
}

/** A call is its session by another prefix: nothing more has to be remembered. */
function callIdOf(session_id: string): string {
  return session_id.replace(/^sess_/, 'rtc_');
}
