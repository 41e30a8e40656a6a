// The row of a session and of its root execution: at the start, and at the end.

import { createHash } from 'node:crypto';
import {
  capabilityOf,
  type ErrorObject,
  type EventOf,
  type ExecutionResource,
  newId,
  type ResolvedTool,
  type SessionDeclaration,
  type SessionResource,
  type SessionState,
  TIMES,
} from '@parley/core';
import type { ProviderCapability } from '@parley/core';
import type { Write } from '../store/store.ts';

export interface NewSession {
  agent: string;
  target: string;
  declaration: SessionDeclaration;
  tools: ResolvedTool[];
  metadata: Record<string, unknown>;
  capabilities: ProviderCapability;
}

export function newResource(of: NewSession, created_at_ms: number): SessionResource {
  const { agent, target, declaration, tools, capabilities } = of;
  const of_transport = capabilities.transports[declaration.transport];
  return {
    session_id: newId('session'),
    workflow_id: newId('workflow'),
    execution_id: newId('execution'),
    agent,
    target,
    status: 'starting',
    provider: declaration.provider,
    transport: declaration.transport,
    model: declaration.model ?? of_transport?.default_model ?? capabilities.default_model,
    voice: declaration.voice ?? of_transport?.default_voice ?? capabilities.default_voice,
    responder: declaration.responder,
    media: declaration.media,
    tools,
    tags: declaration.tags,
    metadata: { ...declaration.metadata, ...of.metadata },
    created_at_ms,
    last_seq: 1,
    turns: 0,
    tool_calls: 0,
    user_audio_ms: 0,
    reply_audio_ms: 0,
  };
}

/** A session as it is now, of which the row tells how it began. */
export function liveResource(began: SessionResource, state: SessionState, counts: AudioCounts): SessionResource {
  const { phase, seq, turns, tool_calls, usage, enabled_tools } = state;
  // What the model may use now: an update may have narrowed what was declared.
  const tools = phase === 'new' ? began.tools : began.tools.filter(({ name }) => enabled_tools.includes(name));
  // Until its end is on disk, and the row says why, a session is closing.
  const status = phase === 'new' ? 'starting' : phase === 'closed' ? 'closing' : phase;
  const { user_audio_ms, reply_audio_ms } = counts;
  return { ...began, tools, status, last_seq: seq, turns, tool_calls, usage, user_audio_ms, reply_audio_ms };
}

/** How much was said, as far as it was counted. */
export type AudioCounts = Pick<SessionResource, 'user_audio_ms' | 'reply_audio_ms'>;

/** The last entry of a log. */
export function closedEvent(
  { created_at_ms, turns, tool_calls, usage }: Pick<SessionState, 'created_at_ms' | 'turns' | 'tool_calls' | 'usage'>,
  { user_audio_ms, reply_audio_ms }: AudioCounts,
  { reason, error, at_ms }: { reason: string; error: ErrorObject | null; at_ms: number },
): EventOf<'session.closed'> {
  return {
    type: 'session.closed',
    reason,
    ...(error === null ? {} : { error }),
    duration_ms: at_ms - created_at_ms,
    turns,
    tool_calls,
    user_audio_ms,
    reply_audio_ms,
    usage,
  };
}

export function closedResource(
  now: SessionResource,
  closed: EventOf<'session.closed'>,
  at_ms: number,
): SessionResource {
  const { reason, error, turns, tool_calls, usage, user_audio_ms, reply_audio_ms } = closed;
  return {
    ...now,
    status: 'closed',
    turns,
    tool_calls,
    ...(usage === undefined ? {} : { usage }),
    user_audio_ms,
    reply_audio_ms,
    closed_at_ms: at_ms,
    close_reason: reason,
    ...(error === undefined ? {} : { error }),
  };
}

/** A session is the root of its workflow, and a root is an execution like any other. */
export function rootExecution(session: SessionResource): ExecutionResource {
  const { execution_id, workflow_id, session_id, target, created_at_ms } = session;
  const root = { execution_id, workflow_id, session_id, target, kind: 'session' as const, created_at_ms };
  return { ...root, status: 'running', started_at_ms: created_at_ms };
}

/** What the end of a session writes beside its last event: its row, and the end of its root execution. */
export function endOfSession(closed: SessionResource, at_ms: number): Write[] {
  const { error, close_reason, created_at_ms } = closed;
  const execution: ExecutionResource = {
    ...rootExecution(closed),
    status: rootStatus(closed),
    reason: close_reason ?? 'closed',
    ...(error === undefined ? {} : { error }),
    finished_at_ms: at_ms,
    duration_ms: at_ms - created_at_ms,
  };
  return [
    { op: 'session.update', session: closed },
    { op: 'execution.update', execution },
  ];
}

function rootStatus({ error, close_reason }: SessionResource): ExecutionResource['status'] {
  if (error) return 'failed';
  if (close_reason === 'max_duration') return 'timed_out';
  return close_reason === 'drain' ? 'cancelled' : 'succeeded';
}

/** How long a client token is good for. */
export function tokenLifeMs(declaration: SessionDeclaration): number {
  const provider = capabilityOf(declaration.provider)?.session_max_ms ?? TIMES.session_token_ms;
  return Math.min(declaration.limits.max_duration_ms ?? TIMES.session_token_ms, provider, TIMES.session_token_ms);
}

/** When a session is ended at the latest. */
export function endsByMs({ created_at_ms, declaration }: Pick<SessionState, 'created_at_ms' | 'declaration'>): number {
  return created_at_ms + (declaration?.limits.max_duration_ms ?? TIMES.session_max_ms);
}

/**
 * Who speaks, for the provider's safety systems: stable for a user whom the application names in `metadata.user_id`,
 * otherwise for the session. Hashed: the provider learns no name.
 */
export function safetyId({ session_id, metadata }: SessionResource): string {
  const user = metadata['user_id'];
  return createHash('sha256')
    .update(typeof user === 'string' && user !== '' ? `user ${user}` : session_id)
    .digest('hex')
    .slice(0, 32);
}
