// The frames of the agent link, subprotocol `parley.agent.v1`. JSON text, one frame each. The rules are in
// schemas/README.md.

import { z } from 'zod';
import { FunctionDeclaration, SessionDeclaration, TurnDetection } from './declaration.ts';
import { ResolvedTool } from './events.ts';
import { ErrorObjectSchema, Json, JsonObject } from './json.ts';
import { LIMITS, NAME_PATTERN } from './names.ts';

export const AGENT_SUBPROTOCOL = 'parley.agent.v1';

const frame = <T extends string, S extends z.ZodRawShape>(type: T, id: string, shape: S, description: string) =>
  z.object({ type: z.literal(type), ...shape }).meta({ id, description });

export const ExecutionResult = z
  .object({
    execution_id: z.string(),
    status: z.enum(['succeeded', 'failed', 'cancelled', 'timed_out']),
    output: Json.optional(),
    error: ErrorObjectSchema.optional(),
  })
  .meta({ id: 'ExecutionResult' });

/** What an agent sends. */
export const AgentFrame = z
  .discriminatedUnion('type', [
    frame(
      'agent.register',
      'AgentRegisterFrame',
      {
        agent: z.string().regex(new RegExp(NAME_PATTERN)),
        /** Stays the same over reconnects of one process, and differs between processes. */
        instance_id: z.string().min(1).max(128),
        sdk: z.object({ language: z.string(), version: z.string() }),
        sessions: z.array(SessionDeclaration).max(LIMITS.sessions_max),
        functions: z.array(FunctionDeclaration).max(LIMITS.functions_max),
        capacity: z.object({ executions: z.int().min(1).optional(), sessions: z.int().min(1).optional() }).optional(),
        /** Executions that this instance runs or has unacknowledged results for. */
        in_flight: z.array(z.string()),
        /** Sessions whose handler this instance still runs, with the last event that it saw. */
        sessions_open: z.array(z.object({ session_id: z.string(), after_seq: z.int().min(0) })),
      },
      'The first frame of a link.',
    ),
    frame(
      'agent.heartbeat',
      'AgentHeartbeatFrame',
      { load: z.object({ executions: z.int().min(0), sessions: z.int().min(0) }) },
      'I am here; answered by `agent.alive`.',
    ),
    frame('agent.drain', 'AgentDrainFrame', {}, 'Give me no new work. The link stays until the old work is done.'),
    frame('execution.accepted', 'ExecutionAcceptedFrame', { execution_id: z.string() }, 'I have it and start it.'),
    frame(
      'execution.result',
      'ExecutionResultFrame',
      ExecutionResult.shape,
      'It ended. Repeated until `execution.settled` comes.',
    ),
    frame(
      'execution.note',
      'ExecutionNoteFrame',
      { execution_id: z.string(), text: z.string(), data: Json.optional() },
      'A note on a running execution.',
    ),
    frame(
      'function.call',
      'FunctionCallFrame',
      {
        request_id: z.string(),
        target: z.string(),
        input: Json,
        parent_execution_id: z.string().optional(),
        session_id: z.string().optional(),
      },
      'Run another function, as a child of an execution or of a session. Answered by `reply` with its output.',
    ),
    frame(
      'function.cancel',
      'FunctionCancelFrame',
      { request_id: z.string() },
      'Nobody waits for that function.call any more.',
    ),
    frame(
      'session.say',
      'SessionSayFrame',
      { request_id: z.string(), session_id: z.string(), text: z.string().min(1).max(LIMITS.say_chars_max) },
      'Answered by `reply` with {interrupted, spoken_text} when it was spoken or cut.',
    ),
    frame(
      'session.update',
      'SessionUpdateFrame',
      {
        request_id: z.string(),
        session_id: z.string(),
        instructions: z.string().max(LIMITS.instructions_chars_max).optional(),
        voice: z.string().optional(),
        turn_detection: TurnDetection.nullable().optional(),
        tools: z.array(z.string()).optional(),
      },
      'Change what the model was told.',
    ),
    frame(
      'session.inject',
      'SessionInjectFrame',
      { request_id: z.string(), session_id: z.string(), text: z.string(), respond: z.boolean().optional() },
      'Put text into the conversation.',
    ),
    frame(
      'session.close',
      'SessionCloseFrame',
      { request_id: z.string(), session_id: z.string(), reason: z.string().optional() },
      'End the session.',
    ),
    frame(
      'session.handled',
      'SessionHandledFrame',
      { session_id: z.string(), error: ErrorObjectSchema.optional() },
      'The handler returned, or threw.',
    ),
  ])
  .meta({ id: 'AgentFrame' });

/** What the server sends. */
export const ServerFrame = z
  .discriminatedUnion('type', [
    frame(
      'agent.registered',
      'AgentRegisteredFrame',
      {
        link_id: z.string(),
        agent_id: z.string(),
        heartbeat_ms: z.int(),
        lease_ms: z.int(),
        frame_bytes_max: z.int(),
        /** Of `in_flight`: those whose results the server still wants. The rest may be forgotten. */
        wanted: z.array(z.string()),
      },
      'The link is up.',
    ),
    frame('agent.alive', 'AgentAliveFrame', {}, 'Answers a heartbeat.'),
    frame(
      'agent.error',
      'AgentErrorFrame',
      { error: ErrorObjectSchema },
      'A frame was refused; the link stays, unless a close follows.',
    ),
    frame('server.drain', 'ServerDrainFrame', { deadline_ms: z.int() }, 'The server is going; open another link.'),
    frame(
      'execution.dispatch',
      'ExecutionDispatchFrame',
      {
        execution_id: z.string(),
        workflow_id: z.string(),
        parent_execution_id: z.string().optional(),
        session_id: z.string().optional(),
        function: z.string(),
        input: Json,
        timeout_ms: z.int(),
      },
      'Run this. Answered by `execution.accepted`, then `execution.result`.',
    ),
    frame(
      'execution.cancel',
      'ExecutionCancelFrame',
      { execution_id: z.string(), reason: z.string() },
      'Stop it, and say how it ended.',
    ),
    frame(
      'execution.settled',
      'ExecutionSettledFrame',
      { execution_id: z.string() },
      'The result is on disk; forget it.',
    ),
    frame(
      'session.open',
      'SessionOpenFrame',
      {
        session_id: z.string(),
        session: z.string(),
        workflow_id: z.string(),
        execution_id: z.string(),
        declaration: SessionDeclaration,
        tools: z.array(ResolvedTool),
        metadata: JsonObject,
      },
      'Run the handler of this session.',
    ),
    frame(
      'session.event',
      'SessionEventFrame',
      { session_id: z.string(), event: JsonObject },
      'An entry of the log that a handler needs.',
    ),
    frame(
      'reply',
      'ReplyFrame',
      { request_id: z.string(), result: Json.optional(), error: ErrorObjectSchema.optional() },
      'Answers a request, once.',
    ),
  ])
  .meta({ id: 'ServerFrame' });

export type AgentFrame = z.infer<typeof AgentFrame>;
export type AgentFrameOf<T extends AgentFrame['type']> = Extract<AgentFrame, { type: T }>;
export type ServerFrame = z.infer<typeof ServerFrame>;
export type ServerFrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;
export type ExecutionResult = z.infer<typeof ExecutionResult>;

/** The log entries that go to the agent that runs a session's handler. */
export const HANDLER_EVENT_TYPES = [
  'turn.started',
  'turn.completed',
  'transcript.completed',
  'response.interrupted',
  'say.completed',
  'tool.completed',
  'session.updated',
  'session.closing',
  'session.closed',
] as const;
