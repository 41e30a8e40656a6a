// Everything that a session tells, as one union of objects told apart by `type`. What belongs to an item, an answer or a
// call says which.

import type { ErrorObject, ParleyError, Usage } from '@parley/core';
import type { RealtimeAgent } from './agent.ts';
import type { RealtimeItem } from './history/item.ts';
import type { HostedMCPTool } from './hosted-mcp.ts';
import type { RealtimeTool } from './tool.ts';

/** Why a session is over. */
export type ClosedReason =
  /** `close()` was called. */
  | 'closed'
  /** The provider ended the connection, and another one could not be had or could not help. */
  | 'provider_lost'
  /** `limits.durationMs` or `limits.idleMs`. */
  | 'max_duration'
  | 'idle_timeout';

export interface AudioDone {
  itemId: string;
  contentIndex: number;
  responseId: string;
}

/** A call that waits for a yes or a no. */
export interface ToolApprovalItem {
  callId: string;
  itemId?: string;
  name: string;
  agent: string;
  /** As the model wrote them. */
  arguments: string;
  /** As the tool would be given them. */
  input: unknown;
  /** The MCP server at the provider that would be called; absent for functions of this process. */
  serverLabel?: string;
}

export interface GuardrailTripped {
  kind: 'output' | 'input' | 'tool_input' | 'tool_output';
  guardrail: string;
  agent: string;
  /** What the guardrail told of its reasons. */
  outputInfo?: unknown;
  /** The words that were judged; absent for tools. */
  text?: string;
  responseId?: string;
  itemId?: string;
  callId?: string;
  /** The answer was over and another one had begun when the verdict came: nothing was cut. */
  stale: boolean;
}

type Any = RealtimeAgent;

/** Events by type, without their `type`. */
export interface RealtimeEventFields {
  /** The connection to the model changed. Both `reconnecting` and `renewing` end in `connected`, or in `closed`. */
  connection: {
    status: 'connecting' | 'connected' | 'reconnecting' | 'renewing' | 'closed';
    /** Which try this is, from 1. */
    attempt?: number;
    reason?: string;
    /** The provider took the conversation up by itself: it was given only what it cannot know. */
    resumed?: true;
    /** Items of the history that the new connection was given. */
    replayed?: number;
  };
  /** The last event. */
  closed: { reason: ClosedReason; error?: ErrorObject; usage: Usage; durationMs: number };
  agent_start: { agent: Any; responseId: string };
  /** `output` is what the answer said, up to where it was cut. */
  agent_end: {
    agent: Any;
    responseId: string;
    output: string;
    status: 'completed' | 'cancelled' | 'failed' | 'incomplete';
    error?: ErrorObject;
    usage?: Usage;
  };
  agent_handoff: { fromAgent: Any; toAgent: Any; callId?: string };
  agent_tool_start: {
    agent: Any;
    tool: RealtimeTool;
    callId: string;
    itemId?: string;
    responseId?: string;
    arguments: string;
    input: unknown;
  };
  /** `result` is what the model was given; `output` what the function returned. */
  agent_tool_end: {
    agent: Any;
    tool: RealtimeTool | null;
    name: string;
    callId: string;
    itemId?: string;
    responseId?: string;
    status: 'succeeded' | 'failed' | 'cancelled' | 'timed_out';
    result: string;
    output?: unknown;
    error?: ErrorObject;
    durationMs: number;
  };
  /** `tool` is null where no agent declared the server that asks. */
  tool_approval_requested: { agent: Any; tool: RealtimeTool | HostedMCPTool | null; approvalItem: ToolApprovalItem };
  /** Sound of the model, in the output format of the session. */
  audio: { data: Buffer; itemId: string; contentIndex: number; responseId: string };
  audio_start: AudioDone;
  /** All sound of a part has come; it may still be playing. */
  audio_stopped: AudioDone;
  /** All of an answer has been heard. */
  audio_played: { responseId: string };
  /** Stop the player. `playedMs` of this part were heard. */
  audio_interrupted: { itemId: string; contentIndex: number; responseId: string; playedMs: number };
  history_added: { item: RealtimeItem };
  /** `history` is made when it is read, so reading it costs its length, and not reading it costs nothing. */
  history_updated: {
    readonly history: readonly RealtimeItem[];
    readonly item: RealtimeItem | undefined;
    itemId: string;
  };
  /** Words of either side as they come. */
  history_delta: { itemId: string; contentIndex: number; field: 'text' | 'transcript'; delta: string };
  history_deleted: { itemId: string; dropped: boolean };
  guardrail_tripped: GuardrailTripped;
  user_speech_started: { itemId?: string; audioMs: number };
  user_speech_stopped: { itemId?: string; audioMs: number };
  /** The user finished a turn. `text` is empty when nobody could say what was said. */
  user_turn: { itemId?: string; text: string; source: 'audio' | 'text' };
  user_transcription_failed: { itemId: string; error: ErrorObject };
  input_audio_timeout_triggered: { itemId?: string };
  dtmf: { digit: string };
  rate_limits_updated: { rateLimits: unknown[] };
  /** What one answer cost, and all so far. Tokens, or seconds where the provider bills those. */
  usage: { usage: Usage; total: Usage; responseId?: string };
  mcp_tools_changed: { server: string; tools: string[] };
  /** The provider has called a tool of an MCP server by itself. `output` is null where it failed. */
  mcp_call_completed: {
    agent: Any;
    itemId: string;
    serverLabel: string;
    name: string;
    arguments: string;
    output: string | null;
    error?: string;
  };
  limit_reached: { limit: string; value: number };
  /** Something went wrong and the session goes on. Without a listener it is told to nobody, and harms nobody. */
  error: { error: ParleyError; source: 'provider' | 'tool' | 'guardrail' | 'listener' | 'hook' | 'session' };
  /** A frame of the provider, parsed anew for you. Unknown ones are here too. */
  transport_event: { event: Record<string, unknown> };
}

export type RealtimeEventType = keyof RealtimeEventFields;

export type RealtimeEventOf<T extends RealtimeEventType> = { readonly type: T } & RealtimeEventFields[T];

/** Any event of a session, told apart by `type`. */
export type RealtimeSessionEvent = { [T in RealtimeEventType]: RealtimeEventOf<T> }[RealtimeEventType];
