// /api/v1/agents

import { ParleyError } from '@parley/core';
import type { Agents } from '../agents/agents.ts';
import type { Route } from './route.ts';

export function agentRoutes(agents: Agents): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/agents',
      summary: 'Agents that are or were connected.',
      scope: 'observe',
      response: 'AgentList',
      handle: async () => ({ agents: agents.list() }),
    },
    {
      method: 'GET',
      path: '/api/v1/agents/:id',
      summary: 'One agent, by its name.',
      scope: 'observe',
      response: 'AgentResource',
      async handle({ params }) {
        const agent = agents.get(params['id'] as string);
        if (!agent) throw new ParleyError('not_found', `no agent named '${params['id']?.slice(0, 64)}' is registered`);
        return agent;
      },
    },
  ];
}
