// The body of a completion, from what a session was told and what a response asks for.

import { isObject, listIn, numberIn, objectIn, textIn, type Wire } from '../openai/wire.ts';
import type { TurnsSession } from './session-config.ts';

/** What hosts of chat completions disagree about. */
export interface ChatDialect {
  /** The field that bounds an answer, in tokens. */
  max_tokens: string;
  /** The field of the end user's hashed id. */
  user: string;
}

export interface ChatAsk {
  session: TurnsSession;
  /** `response` of a `response.create`. */
  response: Wire;
  messages: Wire[];
  modality: 'audio' | 'text';
  safety_id: string | undefined;
}

export function chatBody({ session, response, messages, modality, safety_id }: ChatAsk, dialect: ChatDialect): Wire {
  const tools = (Array.isArray(response['tools']) ? listIn(response, 'tools') : session.tools).map(toolOf);
  const max = numberIn(response, 'max_output_tokens');
  const voice = textIn(objectIn(objectIn(response, 'audio'), 'output'), 'voice') ?? session.voice;
  return {
    model: session.model,
    stream: true,
    stream_options: { include_usage: true },
    modalities: modality === 'audio' ? ['text', 'audio'] : ['text'],
    // Of the formats only this one can be streamed by the models that speak.
    ...(modality === 'audio' ? { audio: { voice, format: 'pcm16' } } : {}),
    messages: instructed(textIn(response, 'instructions') ?? session.instructions, messages),
    ...(tools.length === 0 ? {} : { tools, tool_choice: choiceOf(response['tool_choice'] ?? session.tool_choice) }),
    ...(max === undefined ? {} : { [dialect.max_tokens]: max }),
    ...(safety_id === undefined ? {} : { [dialect.user]: safety_id }),
  };
}

/** Some models want a user's message to answer: where there is none, the instructions are one. */
function instructed(instructions: string, messages: Wire[]): Wire[] {
  if (messages.length === 0) return [{ role: 'user', content: instructions === '' ? 'Hello.' : instructions }];
  return instructions === '' ? messages : [{ role: 'system', content: instructions }, ...messages];
}

function toolOf(tool: Wire): Wire {
  const { name, description, parameters } = tool;
  return { type: 'function', function: { name, ...(description === undefined ? {} : { description }), parameters } };
}

function choiceOf(choice: unknown): unknown {
  return isObject(choice) ? { type: 'function', function: { name: choice['name'] } } : choice;
}
