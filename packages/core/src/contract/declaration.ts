// What an agent registers: sessions and functions. Closed objects: a field that is not known here is a mistake.

import { z } from 'zod';
import { JsonObject } from './json.ts';
import { FUNCTION_NAME_PATTERN, LIMITS, NAME_PATTERN, TOOL_REF_PATTERN } from './names.ts';

export const ServerVad = z
  .strictObject({
    type: z.literal('server_vad'),
    threshold: z.number().min(0).max(1).optional(),
    prefix_padding_ms: z.int().min(0).max(5000).optional(),
    silence_duration_ms: z.int().min(0).max(10_000).optional(),
    create_response: z.boolean().optional(),
    interrupt_response: z.boolean().optional(),
    idle_timeout_ms: z.int().min(5000).max(30_000).optional(),
  })
  .meta({ id: 'ServerVad', description: 'The provider ends a turn after silence.' });

export const SemanticVad = z
  .strictObject({
    type: z.literal('semantic_vad'),
    eagerness: z.enum(['auto', 'low', 'medium', 'high']).optional(),
    create_response: z.boolean().optional(),
    interrupt_response: z.boolean().optional(),
  })
  .meta({ id: 'SemanticVad', description: 'The provider ends a turn when the sentence sounds complete.' });

export const TurnDetection = z.discriminatedUnion('type', [ServerVad, SemanticVad]).meta({ id: 'TurnDetection' });

export const SessionLimits = z
  .strictObject({
    max_duration_ms: z.int().min(1000).optional(),
    idle_timeout_ms: z.int().min(1000).optional(),
    max_concurrent: z.int().min(1).optional(),
    max_tool_calls_in_flight: z.int().min(1).optional(),
  })
  .meta({ id: 'SessionLimits' });

export const CLIENT_EVENT_NAMES = [
  'audio',
  'text',
  'image',
  'commit',
  'clear',
  'respond',
  'cancel',
  'truncate',
  'retrieve',
  'delete',
] as const;

export const SessionDeclaration = z
  .strictObject({
    name: z.string().regex(new RegExp(NAME_PATTERN)),
    provider: z.string(),
    transport: z.string(),
    model: z.string().min(1).optional(),
    voice: z.string().min(1).optional(),
    instructions: z.string().max(LIMITS.instructions_chars_max).optional(),
    language: z.string().min(1).optional(),
    modalities: z
      .array(z.enum(['audio', 'text', 'image']))
      .min(1)
      .optional(),
    responder: z.enum(['model', 'handler']).optional(),
    tools: z
      .array(z.string().regex(new RegExp(TOOL_REF_PATTERN)))
      .max(LIMITS.tools_max)
      .optional(),
    handoffs: z
      .array(z.string().regex(new RegExp(TOOL_REF_PATTERN)))
      .max(LIMITS.tools_max)
      .optional(),
    guardrails: z
      .array(z.string().regex(new RegExp(TOOL_REF_PATTERN)))
      .max(LIMITS.tools_max)
      .optional(),
    turn_detection: TurnDetection.nullable().optional(),
    client_events: z.array(z.enum(CLIENT_EVENT_NAMES)).optional(),
    limits: SessionLimits.optional(),
    media: z.enum(['native', 'bridge']).optional(),
    record: z.boolean().optional(),
    tags: z.array(z.string().min(1)).max(LIMITS.tags_max).optional(),
    metadata: JsonObject.optional(),
  })
  .meta({ id: 'SessionDeclaration', description: 'One session that an agent offers.' });

export const FunctionDeclaration = z
  .strictObject({
    name: z.string().regex(new RegExp(FUNCTION_NAME_PATTERN)),
    kind: z.enum(['reasoner', 'skill']),
    description: z.string().optional(),
    input_schema: JsonObject.optional(),
    output_schema: JsonObject.optional(),
    timeout_ms: z.int().min(1).max(86_400_000).optional(),
    on_interrupt: z.enum(['finish', 'cancel']).optional(),
    max_concurrent: z.int().min(1).optional(),
    tags: z.array(z.string().min(1)).max(LIMITS.tags_max).optional(),
  })
  .meta({ id: 'FunctionDeclaration', description: 'One reasoner or skill that an agent offers.' });

export type TurnDetection = z.infer<typeof TurnDetection>;
export type ServerVad = z.infer<typeof ServerVad>;
export type SemanticVad = z.infer<typeof SemanticVad>;
export type SessionLimits = z.infer<typeof SessionLimits>;
export type ClientEventName = (typeof CLIENT_EVENT_NAMES)[number];
/** A declaration as an author writes it: only name, provider and transport are required. */
export type SessionDeclarationInput = z.input<typeof SessionDeclaration>;
export type FunctionDeclaration = z.infer<typeof FunctionDeclaration>;

type Filled =
  | 'modalities'
  | 'responder'
  | 'tools'
  | 'handoffs'
  | 'guardrails'
  | 'client_events'
  | 'limits'
  | 'media'
  | 'record'
  | 'tags'
  | 'metadata';
/** A declaration that was checked: normalised, with every default filled in. */
export type SessionDeclaration = Omit<SessionDeclarationInput, Filled> & {
  [K in Filled]-?: NonNullable<SessionDeclarationInput[K]>;
};
