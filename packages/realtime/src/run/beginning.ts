// How a session begins: its declaration as the log has it, and who watches it from outside.

import type { SessionDeclaration, SessionEvent } from '@parley/core';
import type { RealtimeSessionEvent } from '../events.ts';
import type { Snapshot } from '../roster.ts';
import { modelTerms } from '../settings.ts';
import { SessionSpans } from '../telemetry.ts';
import type { Parts } from './parts.ts';

/** The first event of the log: what this session is. */
export function sessionCreated(
  { id, limits, settings }: Parts,
  { agent, resolved }: Snapshot,
): Extract<SessionEvent, { type: 'session.created' }> {
  const { durationMs, idleMs, toolsInFlight } = limits;
  const declaration: SessionDeclaration = {
    name: 'session',
    provider: 'model',
    transport: 'websocket',
    modalities: ['audio', 'text'],
    responder: 'model',
    tools: [],
    handoffs: [],
    guardrails: [],
    turn_detection: modelTerms(settings).turn_detection,
    client_events: [],
    limits: {
      max_duration_ms: durationMs,
      max_tool_calls_in_flight: toolsInFlight,
      ...(idleMs === null ? {} : { idle_timeout_ms: idleMs }),
    },
    media: 'native',
    record: false,
    tags: [],
    metadata: {},
  };
  const ids = { session_id: id, workflow_id: id, execution_id: id };
  const { name } = agent;
  return { type: 'session.created', ...ids, agent: name, target: name, declaration, tools: resolved, metadata: {} };
}

/** Spans of what is told, where somebody wants them. */
export function traced({ config, hub, id }: Parts, { agent }: Snapshot): SessionSpans | null {
  if (config.telemetry === false) return null;
  const spans = new SessionSpans(config.telemetry ?? {}, { sessionId: id, agent: agent.name });
  for (const type of SessionSpans.TYPES) hub.on(type, (event) => spans.take(event as RealtimeSessionEvent));
  return spans;
}
