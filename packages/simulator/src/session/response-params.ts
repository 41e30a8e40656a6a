import type { AudioFormat, FunctionTool, Modality, ToolChoice, Wire } from '../wire.ts';
import { isObject } from '../wire.ts';
import { audioFormat, maxOutputTokens, modalities, type SessionConfig, tool, toolChoice } from './config.ts';
import type { Conversation, Entry } from './conversation.ts';
import { createdItem } from './item-shape.ts';
import * as rule from './rules.ts';
import { invalid, WireError } from './wire-error.ts';

// What `response.create` asks for, checked and completed from the session.

/** What `response.create` asked for, with the session's settings where it was silent. */
export interface ResponseSettings {
  outOfBand: boolean;
  modality: Modality;
  format: AudioFormat;
  voice: unknown;
  maxOutputTokens: number | 'inf';
  metadata: unknown;
  instructions: string | undefined;
  tools: FunctionTool[];
  toolChoice: ToolChoice;
  toolChoiceIsExplicit: boolean;
  parallel: boolean;
  /** The context given in `response.create`; null: the conversation. */
  input: Entry[] | null;
  idle: boolean;
}

const METADATA_MAX = 16;

const metadata: rule.Rule = (value, param) => {
  if (!isObject(value)) throw invalid(param, value, 'an object of strings');
  const entries = Object.entries(value);
  if (entries.length > METADATA_MAX) throw invalid(param, entries.length, `at most ${METADATA_MAX} pairs`);
  for (const [key, entry] of entries) rule.string(entry, `${param}.${key}`);
};

const RULES: Record<string, rule.Rule> = {
  conversation: rule.oneOf('auto', 'none'),
  metadata: rule.orNull(metadata),
  input: rule.orNull(rule.list(rule.anything)),
  instructions: rule.orNull(rule.string),
  tools: rule.orNull(rule.list(tool)),
  tool_choice: toolChoice,
  parallel_tool_calls: rule.boolean,
  output_modalities: modalities,
  max_output_tokens: maxOutputTokens,
  audio: rule.object({ output: rule.object({ format: audioFormat, voice: rule.anything }) }),
  reasoning: rule.anything,
  prompt: rule.anything,
};

interface Params extends Wire {
  conversation?: 'auto' | 'none';
  input?: unknown[] | null;
  instructions?: string | null;
  tools?: FunctionTool[] | null;
  tool_choice?: ToolChoice;
  parallel_tool_calls?: boolean;
  output_modalities?: [Modality];
  max_output_tokens?: number | 'inf';
  audio?: { output?: { format?: AudioFormat; voice?: unknown } };
}

/** Makes the context of a response that brings its own: items as in item.create, and references. */
export type MakeEntry = (created: ReturnType<typeof createdItem>) => Entry;

export function responseSettings(
  value: unknown,
  config: SessionConfig,
  conversation: Conversation,
  makeEntry: MakeEntry,
): ResponseSettings {
  if (value !== undefined && value !== null && !isObject(value)) throw invalid('response', value, 'an object');
  const params = (value ?? {}) as Params;
  rule.check(params, RULES, 'response');
  const output = params.audio?.output;
  const voice = output?.voice ?? config.audio.output.voice;
  return {
    outOfBand: params.conversation === 'none',
    modality: params.output_modalities?.[0] ?? config.output_modalities[0] ?? 'audio',
    format: output?.format ? withRate(output.format) : config.audio.output.format,
    voice: isObject(voice) ? voice['id'] : voice,
    maxOutputTokens: params.max_output_tokens ?? config.max_output_tokens,
    metadata: params.metadata ?? null,
    instructions: params.instructions ?? undefined,
    tools: params.tools ?? config.tools,
    toolChoice: params.tool_choice ?? config.tool_choice,
    toolChoiceIsExplicit: params.tool_choice !== undefined,
    parallel: params.parallel_tool_calls ?? config.parallel_tool_calls ?? true,
    input: params.input
      ? params.input.map((item, index) => inputEntry(item, index, config, conversation, makeEntry))
      : null,
    idle: false,
  };
}

function withRate({ type }: AudioFormat): AudioFormat {
  return type === 'audio/pcm' ? { type, rate: 24_000 } : { type };
}

function inputEntry(
  item: unknown,
  index: number,
  config: SessionConfig,
  conversation: Conversation,
  makeEntry: MakeEntry,
): Entry {
  const param = `response.input[${index}]`;
  if (!isObject(item) || item['type'] !== 'item_reference')
    return makeEntry(createdItem(item, config.audio.input.format, param));
  const found = conversation.find(String(item['id']));
  if (found) return found;
  throw new WireError('invalid_value', `Item with id '${String(item['id'])}' not found.`, `${param}.id`);
}
