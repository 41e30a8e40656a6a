// May this session be started, and as what? Everything that can be refused is refused before anything is written.

import {
  checkPair,
  LIMITS,
  ParleyError,
  parseTarget,
  resolveTools,
  type SessionDeclaration,
  type StartRequest,
} from '@parley/core';
import type { RealtimeModel } from '@parley/providers';
import type { AgentDirectory } from '../agents/ports.ts';
import type { NewSession } from './resource.ts';

export interface AdmissionPorts {
  agents: AgentDirectory;
  /** The model of a provider, or null when it is not configured. */
  model: (provider: string) => RealtimeModel | null;
}

export interface Admitted extends NewSession {
  model: RealtimeModel;
}

/**
 * A session of `target` as it would be started.
 * @throws ParleyError `not_found`, `invalid_argument`, `failed_precondition` (provider or tool that is not there).
 */
export function admit({ agents, model: modelOf }: AdmissionPorts, target: string, request: StartRequest): Admitted {
  const { agent, name } = parseTarget(target);
  const declared = agents.session(agent, name);
  if (!declared) throw notOffered(agents, agent, name, target);
  checkRequest(declared, target, request);
  const { model, voice, instructions, metadata = {} } = request;
  const declaration: SessionDeclaration = {
    ...declared,
    ...(model === undefined ? {} : { model }),
    ...(voice === undefined ? {} : { voice }),
    ...(instructions === undefined ? {} : { instructions }),
  };
  const provider = modelOf(declaration.provider);
  if (!provider) {
    throw new ParleyError(
      'failed_precondition',
      `provider '${declaration.provider}' is not configured on this server`,
      {
        details: { provider: declaration.provider },
      },
    );
  }
  const tools = resolveTools(agent, declaration.tools, (owner, tool) => agents.function(owner, tool));
  return { agent, target, declaration, tools, metadata, model: provider, capabilities: provider.capabilities };
}

function notOffered(agents: AgentDirectory, agent: string, name: string, target: string): ParleyError {
  const message = agents.known(agent)
    ? `no connected agent ${agent} offers session '${name}'`
    : `no agent named '${agent}' is registered`;
  return new ParleyError('not_found', message, { details: { target } });
}

function checkRequest(declared: SessionDeclaration, target: string, request: StartRequest): void {
  if (request.provider !== undefined || request.transport !== undefined) {
    const requested = checkPair(request.provider ?? declared.provider, request.transport ?? declared.transport);
    const { provider, transport } = declared;
    if (requested.provider !== provider || requested.transport !== transport) {
      throw new ParleyError(
        'invalid_argument',
        `session ${target} is declared with provider=${provider} transport=${transport}; requested provider=${requested.provider} transport=${requested.transport}`,
        { details: { declared: { provider, transport }, requested } },
      );
    }
  }
  if (Object.keys(request.metadata ?? {}).length > LIMITS.metadata_keys_max) {
    throw new ParleyError('invalid_argument', `metadata may have at most ${LIMITS.metadata_keys_max} keys`);
  }
}
