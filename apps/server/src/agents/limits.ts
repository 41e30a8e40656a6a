// Sizes and times of the agent links, each with a default.

import { LIMITS, TIMES } from '@parley/core';

export interface AgentLimits {
  heartbeat_ms: number;
  /** A link that was silent this long is closed. */
  lease_ms: number;
  /** How long the work of a cut link waits for the same instance. */
  resume_ms: number;
  /** A link that has not registered after this long is closed. */
  register_ms: number;
  /** Links at once, registered or not. */
  links_max: number;
  /** Agent names that are listed, connected or not. The longest disconnected one makes room. */
  agents_max: number;
  frame_bytes_max: number;
  /** Past it nothing new is placed on a link until it has drained. */
  congested_bytes: number;
  /** Past it a link is closed: its agent has stopped reading. */
  outgoing_bytes_max: number;
  /** Executions on one instance that declared no capacity. */
  executions_max: number;
  /** Handlers on one instance that declared no capacity. */
  sessions_max: number;
  /** Requests of one instance that wait for their reply. */
  requests_max: number;
  /** Refused frames between two heartbeats before a link is closed. */
  violations_max: number;
}

export const AGENT_LIMITS: AgentLimits = {
  heartbeat_ms: TIMES.agent_heartbeat_ms,
  lease_ms: TIMES.agent_lease_ms,
  resume_ms: TIMES.agent_resume_ms,
  register_ms: 10_000,
  links_max: 4096,
  agents_max: 1024,
  frame_bytes_max: LIMITS.frame_bytes_max,
  congested_bytes: 1024 * 1024,
  outgoing_bytes_max: 32 * 1024 * 1024,
  executions_max: 4096,
  sessions_max: 1024,
  requests_max: 1024,
  violations_max: 16,
};
