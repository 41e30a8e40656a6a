// What an agent is made of, and how a running one is seen from outside.

import type { FunctionDefinition } from './functions.ts';
import type { SessionDefinition } from './session-options.ts';

export interface AgentParts {
  name: string;
  sessions: ReadonlyMap<string, SessionDefinition>;
  functions: ReadonlyMap<string, FunctionDefinition>;
  /** Sessions that this process holds, where that is more than the handlers which run here. */
  sessionLoad?: () => number;
}

export interface AgentStatus {
  phase: 'connecting' | 'serving' | 'draining' | 'stopped';
  /** The link's id at the control plane, or null while there is none. */
  linkId: string | null;
  /** Executions without a result. */
  executions: number;
  /** Results that the control plane has not confirmed. */
  unconfirmed: number;
  /** Handlers that run. */
  sessions: number;
}
