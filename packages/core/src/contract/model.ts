// The two unions between a session and a model connection: commands in, events out. Adapters speak nothing else
// besides media frames. A model event is a session event that a provider can be the source of.

import { z } from 'zod';
import { TurnDetection } from './declaration.ts';
import type { EventOf } from './events.ts';
import { JsonObject } from './json.ts';

const command = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), ...shape });

export const ModelCommand = z
  .discriminatedUnion('type', [
    /** Patch what the model was told. Only present fields change. */
    command('update', {
      instructions: z.string().optional(),
      voice: z.string().optional(),
      turn_detection: TurnDetection.nullable().optional(),
      tools: z
        .array(
          z.object({
            name: z.string(),
            description: z.string().optional(),
            input_schema: z.record(z.string(), z.unknown()).optional(),
          }),
        )
        .optional(),
      /** What only this provider knows, in its own words: merged into what it is told. */
      settings: JsonObject.optional(),
    }).meta({ id: 'UpdateCommand' }),
    /** Put text into the conversation as the user, a system note, or the assistant. */
    command('add_text', { role: z.enum(['user', 'system', 'assistant']), text: z.string() }).meta({
      id: 'AddTextCommand',
    }),
    /** Put an item into the conversation as it is, in the words of OpenAI Realtime. `root` puts it first. */
    command('add_item', { item: JsonObject, previous_item_id: z.string().optional() }).meta({ id: 'AddItemCommand' }),
    /** Take an item out of the conversation. */
    command('delete_item', { item_id: z.string() }).meta({ id: 'DeleteItemCommand' }),
    /** Ask the model for an answer. */
    command('respond', { instructions: z.string().optional() }).meta({ id: 'RespondCommand' }),
    /** Speak these words and nothing else. Its response carries the `say_id`. */
    command('say', { say_id: z.string(), text: z.string() }).meta({ id: 'SayCommand' }),
    /** Stop the response in progress. */
    command('cancel', { response_id: z.string().optional() }).meta({ id: 'CancelCommand' }),
    /** Remove what was not heard of an answer. */
    command('truncate', { item_id: z.string(), audio_ms: z.number() }).meta({ id: 'TruncateCommand' }),
    /** Tell the model again what the session is: somebody else changed it. */
    command('restore', {}).meta({ id: 'RestoreCommand' }),
    /** The one answer to a tool call. `output` is JSON text. */
    command('tool_output', { call_id: z.string(), output: z.string() }).meta({ id: 'ToolOutputCommand' }),
  ])
  .meta({ id: 'ModelCommand' });

export type ModelCommand = z.infer<typeof ModelCommand>;
export type ModelCommandOf<T extends ModelCommand['type']> = Extract<ModelCommand, { type: T }>;

/** What a model connection tells a session. `tool.called` gets its `execution_id` from whoever runs the session. */
export type ModelEvent =
  | EventOf<'provider.connected'>
  | EventOf<'provider.failed'>
  | EventOf<'provider.renewed'>
  | EventOf<'sideband.attached'>
  | EventOf<'sideband.lost'>
  | EventOf<'session.tampered'>
  | EventOf<'session.restored'>
  | EventOf<'speech.started'>
  | EventOf<'speech.stopped'>
  | EventOf<'turn.started'>
  | EventOf<'turn.completed'>
  | EventOf<'transcript.completed'>
  | EventOf<'response.started'>
  | EventOf<'response.completed'>
  | EventOf<'response.played'>
  | EventOf<'item.truncated'>
  | Omit<EventOf<'tool.called'>, 'execution_id'>;
