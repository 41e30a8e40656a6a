// Bodies of the HTTP interface. Requests are closed: an unknown field is a mistake. Answers are open.

import { z } from 'zod';
import { FunctionDeclaration, SessionDeclaration, TurnDetection } from './declaration.ts';
import { ExecutionStatus, ResolvedTool, Usage } from './events.ts';
import { ErrorObjectSchema, Json, JsonObject } from './json.ts';
import { LIMITS, TIMES } from './names.ts';

export const StartRequest = z
  .strictObject({
    /** When given, they must be what was declared: nothing is inferred and nothing is switched. */
    provider: z.string().optional(),
    transport: z.string().optional(),
    model: z.string().min(1).optional(),
    voice: z.string().min(1).optional(),
    instructions: z.string().max(LIMITS.instructions_chars_max).optional(),
    metadata: JsonObject.optional(),
  })
  .meta({ id: 'StartRequest' });

export const SessionUrls = z
  .object({
    realtime: z.string(),
    realtime_offer: z.string().optional(),
    realtime_call: z.string().optional(),
    events: z.string(),
    tools: z.string(),
    turns: z.string().optional(),
    close: z.string(),
    workflow: z.string(),
  })
  .meta({ id: 'SessionUrls', description: 'Paths on the server that answered; nothing is built from a Host header.' });

export const IceServer = z
  .object({ urls: z.array(z.string()), username: z.string().optional(), credential: z.string().optional() })
  .meta({ id: 'IceServer', description: 'A STUN or TURN server, as RTCPeerConnection takes it.' });

export const StartResponse = z
  .object({
    session_id: z.string(),
    workflow_id: z.string(),
    execution_id: z.string(),
    target: z.string(),
    provider: z.string(),
    transport: z.string(),
    model: z.string(),
    voice: z.string(),
    modalities: z.array(z.string()),
    turn_detection: TurnDetection.nullable().optional(),
    tools: z.array(ResolvedTool),
    /** Who terminates WebRTC media: the provider, or this server. */
    media: z.enum(['native', 'bridge']).optional(),
    /** For the client's RTCPeerConnection. */
    ice_servers: z.array(IceServer).optional(),
    client_token: z.string(),
    expires_at_ms: z.number(),
    urls: SessionUrls,
    created_at_ms: z.number(),
  })
  .meta({ id: 'StartResponse' });

export const SessionStatus = z.enum(['starting', 'live', 'closing', 'closed']).meta({ id: 'SessionStatus' });

export const SessionResource = z
  .object({
    session_id: z.string(),
    workflow_id: z.string(),
    execution_id: z.string(),
    agent: z.string(),
    target: z.string(),
    status: SessionStatus,
    provider: z.string(),
    transport: z.string(),
    model: z.string(),
    voice: z.string(),
    responder: z.enum(['model', 'handler']),
    media: z.enum(['native', 'bridge']).optional(),
    tools: z.array(ResolvedTool),
    tags: z.array(z.string()),
    metadata: JsonObject,
    created_at_ms: z.number(),
    closed_at_ms: z.number().optional(),
    close_reason: z.string().optional(),
    error: ErrorObjectSchema.optional(),
    last_seq: z.int(),
    turns: z.int(),
    tool_calls: z.int(),
    user_audio_ms: z.number(),
    reply_audio_ms: z.number(),
    usage: Usage.optional(),
  })
  .meta({ id: 'SessionResource' });

export const SessionList = z
  .object({ sessions: z.array(SessionResource), next_cursor: z.string().optional() })
  .meta({ id: 'SessionList' });

export const EventList = z
  .object({ events: z.array(JsonObject), last_seq: z.int(), has_more: z.boolean() })
  .meta({ id: 'EventList', description: 'Entries of the log after `after`, in order.' });

export const SayRequest = z
  .strictObject({ text: z.string().min(1).max(LIMITS.say_chars_max) })
  .meta({ id: 'SayRequest' });
export const SayResponse = z
  .object({ say_id: z.string(), interrupted: z.boolean(), spoken_text: z.string() })
  .meta({ id: 'SayResponse' });
export const InjectRequest = z
  .strictObject({ text: z.string().min(1).max(LIMITS.say_chars_max), respond: z.boolean().optional() })
  .meta({ id: 'InjectRequest' });
export const UpdateRequest = z
  .strictObject({
    instructions: z.string().max(LIMITS.instructions_chars_max).optional(),
    voice: z.string().min(1).optional(),
    turn_detection: TurnDetection.nullable().optional(),
    tools: z.array(z.string()).max(LIMITS.tools_max).optional(),
  })
  .meta({ id: 'UpdateRequest' });
export const CloseRequest = z.strictObject({ reason: z.string().max(256).optional() }).meta({ id: 'CloseRequest' });

export const OfferRequest = z
  .strictObject({ sdp: z.string().min(1).max(LIMITS.offer_bytes_max) })
  .meta({ id: 'OfferRequest', description: 'An SDP offer with all of its candidates; nothing is trickled.' });
export const OfferResponse = z.object({ answer_sdp: z.string() }).meta({ id: 'OfferResponse' });
export const CallResource = z
  .object({
    session_id: z.string(),
    media: z.enum(['native', 'bridge']),
    status: z.enum(['none', 'connecting', 'connected']),
    connection_id: z.string().optional(),
    provider_call_id: z.string().optional(),
    ice_servers: z.array(IceServer),
  })
  .meta({ id: 'CallResource', description: 'The WebRTC call of a session.' });

export const TurnRequest = z
  .strictObject({
    /** One of the two: what the user typed, or what the user said. */
    text: z.string().min(1).max(LIMITS.say_chars_max).optional(),
    audio: z
      .strictObject({
        /** `pcm16` is mono and little-endian; `opus` is an Ogg file. */
        format: z.enum(['opus', 'pcm16', 'wav']),
        /** Base64. */
        data: z.string().min(1),
        /** Of `pcm16`; 24000 when it is not said. */
        sample_rate: z.int().min(8000).max(48_000).optional(),
      })
      .optional(),
    reply_format: z.enum(['none', 'pcm16', 'wav']).optional(),
    timeout_ms: z.int().min(1).max(TIMES.turn_ms).optional(),
  })
  .meta({ id: 'TurnRequest', description: 'A whole turn of the user.' });

export const TurnToolCall = z
  .object({
    call_id: z.string(),
    name: z.string(),
    status: z.enum(['succeeded', 'failed', 'cancelled', 'timed_out', 'unknown', 'rejected']),
    output: Json.optional(),
    error: ErrorObjectSchema.optional(),
    duration_ms: z.number().optional(),
  })
  .meta({ id: 'TurnToolCall' });

export const TurnResponse = z
  .object({
    session_id: z.string(),
    turn_id: z.string(),
    /** Empty when it could not be written down. */
    user_text: z.string(),
    text: z.string(),
    /** Mono. Missing when nothing was spoken, or no sound was wanted. */
    audio: z
      .object({ format: z.enum(['pcm16', 'wav']), sample_rate: z.int(), audio_ms: z.number(), data: z.string() })
      .optional(),
    /** Something else was begun before the answer was complete. */
    interrupted: z.boolean(),
    tool_calls: z.array(TurnToolCall),
    usage: Usage.optional(),
    duration_ms: z.number(),
  })
  .meta({ id: 'TurnResponse', description: 'The answer to a turn.' });

export const ToolRequest = z
  .strictObject({
    input: Json.optional(),
    /** When given, it must be the target that the tool's name stands for in this session. */
    target: z.string().optional(),
    call_id: z.string().min(1).max(128).optional(),
  })
  .meta({ id: 'ToolRequest' });

export const ExecuteRequest = z
  .strictObject({ input: Json.optional(), timeout_ms: z.int().min(1).max(86_400_000).optional() })
  .meta({ id: 'ExecuteRequest' });

export const ExecutionResource = z
  .object({
    execution_id: z.string(),
    workflow_id: z.string(),
    parent_execution_id: z.string().optional(),
    session_id: z.string().optional(),
    target: z.string(),
    kind: z.enum(['session', 'reasoner', 'skill']),
    status: ExecutionStatus,
    /** Why it has this status, where that is not plain. */
    reason: z.string().optional(),
    input: Json.optional(),
    output: Json.optional(),
    error: ErrorObjectSchema.optional(),
    notes: z.array(JsonObject).optional(),
    created_at_ms: z.number(),
    started_at_ms: z.number().optional(),
    finished_at_ms: z.number().optional(),
    duration_ms: z.number().optional(),
  })
  .meta({ id: 'ExecutionResource' });

export const CancelRequest = z.strictObject({ reason: z.string().max(256).optional() }).meta({ id: 'CancelRequest' });
export const NoteRequest = z
  .strictObject({ text: z.string().min(1).max(4096), data: Json.optional() })
  .meta({ id: 'NoteRequest' });
export const BatchStatusRequest = z
  .strictObject({ execution_ids: z.array(z.string()).min(1).max(1000) })
  .meta({ id: 'BatchStatusRequest' });
export const BatchStatusResponse = z
  .object({ executions: z.array(ExecutionResource), missing: z.array(z.string()) })
  .meta({ id: 'BatchStatusResponse' });

export const WorkflowNode = z
  .object({
    execution_id: z.string(),
    parent_execution_id: z.string().optional(),
    session_id: z.string().optional(),
    target: z.string(),
    kind: z.enum(['session', 'reasoner', 'skill']),
    status: ExecutionStatus,
    reason: z.string().optional(),
    depth: z.int(),
    created_at_ms: z.number(),
    started_at_ms: z.number().optional(),
    finished_at_ms: z.number().optional(),
    duration_ms: z.number().optional(),
    error: ErrorObjectSchema.optional(),
    notes: z.int(),
  })
  .meta({ id: 'WorkflowNode' });

export const WorkflowResource = z
  .object({
    workflow_id: z.string(),
    root_execution_id: z.string(),
    session_id: z.string().optional(),
    status: ExecutionStatus,
    total_nodes: z.int(),
    max_depth: z.int(),
    /** In order of creation; a parent always stands before its children. */
    nodes: z.array(WorkflowNode),
    edges: z.array(z.object({ from: z.string(), to: z.string() })),
  })
  .meta({ id: 'WorkflowResource', description: 'The tree of executions under one root.' });

export const AgentResource = z
  .object({
    agent_id: z.string(),
    agent: z.string(),
    status: z.enum(['connected', 'draining', 'disconnected']),
    links: z.array(
      z.object({
        link_id: z.string(),
        instance_id: z.string(),
        sdk: z.object({ language: z.string(), version: z.string() }),
        status: z.enum(['connected', 'draining']),
        connected_at_ms: z.number(),
        executions: z.int(),
        sessions: z.int(),
      }),
    ),
    sessions: z.array(SessionDeclaration),
    functions: z.array(FunctionDeclaration),
    last_seen_ms: z.number(),
  })
  .meta({ id: 'AgentResource' });
export const AgentList = z.object({ agents: z.array(AgentResource) }).meta({ id: 'AgentList' });

export const KeyResource = z
  .object({
    key_id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(['admin', 'agent', 'start', 'observe'])),
    created_at_ms: z.number(),
  })
  .meta({ id: 'KeyResource', description: 'A key, without the key itself.' });
export const KeyList = z.object({ keys: z.array(KeyResource) }).meta({ id: 'KeyList' });
export const CreateKeyRequest = z
  .strictObject({
    name: z.string().min(1).max(128),
    scopes: z.array(z.enum(['admin', 'agent', 'start', 'observe'])).min(1),
  })
  .meta({ id: 'CreateKeyRequest' });
export const CreateKeyResponse = z
  .object({ ...KeyResource.shape, key: z.string() })
  .meta({ id: 'CreateKeyResponse', description: 'The only answer that ever shows the key.' });

export const HealthResponse = z
  .object({ status: z.enum(['ok', 'draining', 'failed']), version: z.string(), checks: JsonObject.optional() })
  .meta({ id: 'HealthResponse' });

export type StartRequest = z.infer<typeof StartRequest>;
export type StartResponse = z.infer<typeof StartResponse>;
export type SessionStatus = z.infer<typeof SessionStatus>;
export type SessionResource = z.infer<typeof SessionResource>;
export type SessionList = z.infer<typeof SessionList>;
export type EventList = z.infer<typeof EventList>;
export type SayRequest = z.infer<typeof SayRequest>;
export type SayResponse = z.infer<typeof SayResponse>;
export type InjectRequest = z.infer<typeof InjectRequest>;
export type UpdateRequest = z.infer<typeof UpdateRequest>;
export type OfferRequest = z.infer<typeof OfferRequest>;
export type OfferResponse = z.infer<typeof OfferResponse>;
export type CallResource = z.infer<typeof CallResource>;
export type IceServer = z.infer<typeof IceServer>;
export type CloseRequest = z.infer<typeof CloseRequest>;
export type TurnRequest = z.infer<typeof TurnRequest>;
export type TurnToolCall = z.infer<typeof TurnToolCall>;
export type TurnResponse = z.infer<typeof TurnResponse>;
export type ToolRequest = z.infer<typeof ToolRequest>;
export type ExecuteRequest = z.infer<typeof ExecuteRequest>;
export type ExecutionResource = z.infer<typeof ExecutionResource>;
export type CancelRequest = z.infer<typeof CancelRequest>;
export type NoteRequest = z.infer<typeof NoteRequest>;
export type BatchStatusRequest = z.infer<typeof BatchStatusRequest>;
export type BatchStatusResponse = z.infer<typeof BatchStatusResponse>;
export type WorkflowNode = z.infer<typeof WorkflowNode>;
export type WorkflowResource = z.infer<typeof WorkflowResource>;
export type AgentResource = z.infer<typeof AgentResource>;
export type AgentList = z.infer<typeof AgentList>;
export type KeyResource = z.infer<typeof KeyResource>;
export type CreateKeyRequest = z.infer<typeof CreateKeyRequest>;
export type HealthResponse = z.infer<typeof HealthResponse>;
