// The log of a session. Each entry is an event with its number and time; events are facts, in the past tense.
// Open objects: an unknown field passes, and an entry of an unknown type is kept and skipped. (z.object is open in the
// schema that it emits and exact in its TypeScript type, which is what we want of both; nothing here parses with zod.)

import { z } from 'zod';
import { SessionDeclaration, TurnDetection } from './declaration.ts';
import { ErrorObjectSchema, Json, JsonObject } from './json.ts';

export const ResolvedTool = z
  .object({
    name: z.string(),
    target: z.string(),
    kind: z.enum(['reasoner', 'skill']),
    description: z.string().optional(),
    input_schema: JsonObject.optional(),
    timeout_ms: z.int().optional(),
    on_interrupt: z.enum(['finish', 'cancel']).optional(),
  })
  .meta({ id: 'ResolvedTool', description: 'A tool as the live model sees it, and the function that answers it.' });

export const Usage = z
  .object({
    input_tokens: z.number().optional(),
    output_tokens: z.number().optional(),
    input_audio_tokens: z.number().optional(),
    output_audio_tokens: z.number().optional(),
    input_text_tokens: z.number().optional(),
    output_text_tokens: z.number().optional(),
    cached_tokens: z.number().optional(),
    seconds: z.number().optional(),
  })
  .meta({ id: 'Usage', description: 'Tokens or seconds, as the provider bills them.' });

export const ExecutionStatus = z
  .enum(['queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'unknown'])
  .meta({ id: 'ExecutionStatus' });

const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S, description: string) =>
  z.object({ type: z.literal(type), ...shape }).meta({ id: pascal(type), description });

function pascal(type: string): string {
  return `${type
    .split(/[._]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')}Event`;
}

const Track = z.enum(['user', 'agent']);

export const EVENT_SCHEMAS = [
  event(
    'session.created',
    {
      session_id: z.string(),
      workflow_id: z.string(),
      execution_id: z.string(),
      agent: z.string(),
      target: z.string(),
      declaration: SessionDeclaration,
      tools: z.array(ResolvedTool),
      metadata: JsonObject,
    },
    'A session was started; it is the root of its workflow.',
  ),
  event(
    'session.updated',
    {
      instructions: z.string().optional(),
      voice: z.string().optional(),
      turn_detection: TurnDetection.nullable().optional(),
      tools: z.array(z.string()).optional(),
      resolved_tools: z.array(ResolvedTool).optional(),
      settings: JsonObject.optional(),
      by: z.enum(['handler', 'api']),
    },
    'What the model was told has changed. `tools` narrows; `resolved_tools` are those of another agent, and an answer that is being generated keeps the ones it began with.',
  ),
  event(
    'session.draining',
    { deadline_ms: z.number() },
    'The server is going; the session ends by the deadline, in milliseconds from now.',
  ),
  event(
    'session.closing',
    { reason: z.string(), by: z.enum(['client', 'handler', 'api', 'limit', 'provider', 'server']) },
    'Somebody asked for the end.',
  ),
  event(
    'session.closed',
    {
      reason: z.string(),
      error: ErrorObjectSchema.optional(),
      duration_ms: z.number(),
      turns: z.int(),
      tool_calls: z.int(),
      user_audio_ms: z.number(),
      reply_audio_ms: z.number(),
      usage: Usage.optional(),
    },
    'The end. Nothing follows.',
  ),
  event(
    'provider.connected',
    { provider_session_id: z.string().optional(), model: z.string().optional() },
    'The provider is ready for audio.',
  ),
  event(
    'provider.disconnected',
    { code: z.int(), reason: z.string(), recoverable: z.boolean(), error: ErrorObjectSchema.optional() },
    'The connection to the provider ended.',
  ),
  event(
    'provider.failed',
    { error: ErrorObjectSchema, command_id: z.string().optional(), provider_code: z.string().optional() },
    'The provider refused something; the session goes on.',
  ),
  event(
    'provider.renewed',
    {
      /** Its hour came near, the provider said that it would end the connection, or the connection was cut. */
      reason: z.enum(['cap', 'going_away', 'lost']),
      by: z.enum(['handle', 'replay']),
      /** Items of the conversation that the new connection was told of. */
      items: z.int(),
      provider_session_id: z.string().optional(),
    },
    'Another connection to the provider took the place of the one before: between two turns, or after that one was cut.',
  ),
  event(
    'call.offered',
    { connection_id: z.string(), media: z.enum(['native', 'bridge']) },
    'A client offered a WebRTC call. A newer offer takes over from an older call.',
  ),
  event(
    'call.created',
    { connection_id: z.string(), media: z.enum(['native', 'bridge']), provider_call_id: z.string().optional() },
    'The offer was answered: by the provider (native), or by this server (bridge).',
  ),
  event('call.failed', { connection_id: z.string(), error: ErrorObjectSchema }, 'The call did not come about.'),
  event(
    'call.ended',
    { connection_id: z.string(), reason: z.string(), error: ErrorObjectSchema.optional() },
    'The call is over. The session waits for another one.',
  ),
  event(
    'media.connected',
    { connection_id: z.string(), connect_ms: z.number() },
    'Media flow and the data channel is open, so many milliseconds after the offer.',
  ),
  event(
    'sideband.attached',
    { provider_call_id: z.string(), attempt: z.int() },
    "The server's own control connection to the provider's call is there.",
  ),
  event(
    'sideband.lost',
    { provider_call_id: z.string(), code: z.int(), reason: z.string() },
    'That connection was cut. No tool runs until it is there again.',
  ),
  event(
    'session.tampered',
    { fields: z.array(z.string()) },
    'The client changed, over its own connection to the provider, what belongs to the server.',
  ),
  event('session.restored', {}, 'The provider confirmed that the session is again what the server says.'),
  event(
    'provider.reconnecting',
    { code: z.int(), reason: z.string(), respond: z.boolean() },
    'The connection to the provider ended, and another one takes its place. `respond` asks again for an answer that was cut.',
  ),
  event('client.attached', { connection_id: z.string() }, 'A client joined the call.'),
  event('client.detached', { connection_id: z.string(), code: z.int(), reason: z.string() }, 'A client left the call.'),
  event('client.rejected', { connection_id: z.string(), error: ErrorObjectSchema }, 'A client sent what it may not.'),
  event('handler.attached', { link_id: z.string() }, 'An agent runs the handler of this session.'),
  event('handler.detached', { link_id: z.string(), reason: z.string() }, 'The agent that ran the handler is gone.'),
  event('handler.completed', {}, 'The handler returned.'),
  event('handler.failed', { error: ErrorObjectSchema }, 'The handler threw.'),
  event(
    'turn.requested',
    { item_id: z.string(), source: z.enum(['audio', 'text']), audio_ms: z.number().optional() },
    'A client sent a whole turn in one request. What is being said is over.',
  ),
  event(
    'speech.started',
    {
      item_id: z.string().optional(),
      audio_ms: z.number(),
      /** How much of the answer that was being played was heard, where whoever plays it knows. */
      played_ms: z.number().optional(),
    },
    'The user began to speak.',
  ),
  event('speech.stopped', { item_id: z.string().optional(), audio_ms: z.number() }, 'The user fell silent.'),
  event(
    'turn.started',
    { turn_id: z.string(), item_id: z.string().optional(), source: z.enum(['audio', 'text']) },
    'A turn began.',
  ),
  event(
    'turn.completed',
    {
      turn_id: z.string(),
      item_id: z.string().optional(),
      source: z.enum(['audio', 'text']),
      text: z.string(),
      audio_ms: z.number().optional(),
    },
    'The user finished a turn. `text` is empty when no transcript could be had.',
  ),
  event(
    'transcript.completed',
    { track: Track, item_id: z.string().optional(), response_id: z.string().optional(), text: z.string() },
    'What one side said.',
  ),
  event(
    'response.started',
    { response_id: z.string(), say_id: z.string().optional(), cause: z.enum(['model', 'say', 'other']) },
    'The model began to answer.',
  ),
  event(
    'response.completed',
    {
      response_id: z.string(),
      item_id: z.string().optional(),
      status: z.enum(['completed', 'cancelled', 'failed', 'incomplete']),
      reason: z.string().optional(),
      error: ErrorObjectSchema.optional(),
      text: z.string(),
      audio_ms: z.number(),
      usage: Usage.optional(),
      /** Whoever plays it tells its end by `response.played`; otherwise it is reckoned from `audio_ms`. */
      playback_reported: z.boolean().optional(),
    },
    'The model generated its answer, or stopped.',
  ),
  event(
    'response.interrupted',
    { response_id: z.string(), item_id: z.string().optional(), played_ms: z.number() },
    'The user spoke over the answer.',
  ),
  event('response.played', { response_id: z.string() }, 'The answer was heard to its end.'),
  event(
    'interruption.requested',
    { played_ms: z.number().optional(), by: z.enum(['handler', 'api']) },
    'Somebody other than the user cuts the answer. `played_ms` is what had been heard of it, where a player says it.',
  ),
  event('item.truncated', { item_id: z.string(), audio_ms: z.number() }, 'The unheard part of an answer was removed.'),
  event(
    'say.requested',
    { say_id: z.string(), text: z.string(), by: z.enum(['handler', 'api']) },
    'Words for the provider to speak.',
  ),
  event(
    'say.completed',
    { say_id: z.string(), interrupted: z.boolean(), spoken_text: z.string(), error: ErrorObjectSchema.optional() },
    'The words were spoken, or cut.',
  ),
  event(
    'input.injected',
    {
      text: z.string(),
      respond: z.boolean(),
      by: z.enum(['handler', 'api']),
      item: JsonObject.optional(),
      previous_item_id: z.string().optional(),
    },
    'Text was put into the conversation, or a whole `item` of which `text` is what it says.',
  ),
  event(
    'response.requested',
    { by: z.enum(['handler', 'api']) },
    'The model is asked for an answer without being told anything more.',
  ),
  event(
    'tool.called',
    {
      call_id: z.string(),
      name: z.string(),
      arguments: z.string(),
      execution_id: z.string(),
      response_id: z.string().optional(),
      source: z.enum(['model', 'client']),
    },
    'A tool was asked for. Nothing ran yet.',
  ),
  event(
    'tool.rejected',
    { call_id: z.string(), name: z.string(), error: ErrorObjectSchema },
    'The call was refused; no function ran.',
  ),
  event(
    'tool.dispatched',
    { call_id: z.string(), name: z.string(), target: z.string(), execution_id: z.string(), input: Json },
    'The call was admitted and goes to its function.',
  ),
  event(
    'tool.completed',
    {
      call_id: z.string(),
      name: z.string(),
      execution_id: z.string(),
      status: z.enum(['succeeded', 'failed', 'cancelled', 'timed_out', 'unknown']),
      output: Json.optional(),
      error: ErrorObjectSchema.optional(),
      duration_ms: z.number(),
      respond: z.boolean().optional(),
    },
    'The function ended, one way or another. Once for each call. Without `respond: false` the model answers the output.',
  ),
  event('tool.answered', { call_id: z.string() }, 'The provider was given the output. Once for each call.'),
  event('limit.reached', { limit: z.string(), value: z.number() }, 'A stated limit was met.'),
  event('timer.fired', { timer: z.string() }, 'A timer that `step` asked for ran out.'),
] as const;

/** Any event of the log, told apart by `type`. */
export const SessionEvent = z.discriminatedUnion('type', EVENT_SCHEMAS).meta({ id: 'SessionEvent' });

export const EVENT_TYPES: readonly string[] = EVENT_SCHEMAS.map((schema) => schema.shape.type.value);

export type ResolvedTool = z.infer<typeof ResolvedTool>;
export type Usage = z.infer<typeof Usage>;
export type ExecutionStatus = z.infer<typeof ExecutionStatus>;
export type SessionEvent = z.infer<typeof SessionEvent>;
export type SessionEventType = SessionEvent['type'];
export type EventOf<T extends SessionEventType> = Extract<SessionEvent, { type: T }>;

/** An entry of the log: an event with its number (from 1, without gaps) and its time (Unix milliseconds). */
export type EventRecord<E extends { type: string } = SessionEvent> = E & { seq: number; at_ms: number };
