// Holds an agent's calls in this process, straight with the model: no control plane is needed.

import { newId, parseDeclaration, ParleyError, type SessionDeclaration } from '@parley/core';
import { type Clock, systemClock } from '@parley/transport';
import type { AgentCall, CallHost, CallListener, HostedCall } from '../call.ts';
import { type Log, stderrLog } from '../log.ts';
import type { AgentParts } from '../agent-parts.ts';
import { leaseModel, type ModelLease } from './local-model.ts';
import { LocalSession } from './local-session.ts';

export interface LocalHostOptions {
  /** Default: a new one for each call. */
  sessionId?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** Instead of the one that the session declares. */
  provider?: string | undefined;
  /** Where the model comes from. Default: the environment; for the simulator, one in this process. */
  lease?: ((provider: string) => Promise<ModelLease>) | undefined;
  /** Is told every entry of the log. */
  listener?: CallListener | undefined;
  clock?: Clock | undefined;
  log?: Log | undefined;
}

export class LocalHost implements CallHost {
  readonly #options: LocalHostOptions;

  constructor(options: LocalHostOptions = {}) {
    this.#options = options;
  }

  async join(agent: AgentParts, call: AgentCall): Promise<HostedCall> {
    const { clock = systemClock, log = stderrLog('warn'), listener, provider, metadata = {} } = this.#options;
    const definition = agent.sessions.get(call.session);
    if (!definition) throw new ParleyError('not_found', `agent ${agent.name} has no session '${call.session}'`);
    const declaration = heldHere(definition.declaration, provider);
    const lease = await (this.#options.lease ?? ((name) => leaseModel(name, clock)))(declaration.provider);
    try {
      const session = new LocalSession({
        id: this.#options.sessionId ?? newId('session'),
        agent,
        definition: { ...definition, declaration },
        model: lease.model,
        metadata: { ...metadata, call_id: call.id, call_type: call.type },
        clock,
        log,
      });
      void session.ended.then(() => lease.release());
      if (listener) session.subscribe(listener);
      session.start();
      return {
        session: session.face,
        ended: session.ended,
        leave: (reason) => session.close(reason),
        attach: (client) => session.attach(client),
      };
    } catch (error) {
      lease.release();
      throw error;
    }
  }
}

/**
 * The session as it is held here: media flow through this process, whatever a control plane would do with them. Where
 * another provider was asked for, its model and voice are that one's.
 */
function heldHere(declaration: SessionDeclaration, provider: string | undefined): SessionDeclaration {
  const { model, voice, media: _media, ...rest } = declaration;
  const other = provider !== undefined && provider !== declaration.provider;
  if (!other && declaration.transport !== 'webrtc') return declaration;
  const own = other ? {} : { ...(model !== undefined && { model }), ...(voice !== undefined && { voice }) };
  return parseDeclaration({ ...rest, ...own, provider: provider ?? declaration.provider, transport: 'websocket' });
}
