// The body of a completion, judged as the hosts judge it.

import { type FunctionTool, isObject, type ToolChoice, type Wire } from '../wire.ts';
import { HttpError, type Host } from './http-error.ts';
import { type ChatContext, contextOf } from './messages.ts';

export interface ChatRequest {
  host: Host;
  model: string;
  stream: boolean;
  /** Whether the answer is spoken, beside its words. */
  audio: boolean;
  context: ChatContext;
  tools: FunctionTool[];
  toolChoice: ToolChoice;
  parallel: boolean;
  maxTokens: number | null;
  includeUsage: boolean;
  /** The end user, as the client names them. */
  user: string;
}

/** Reads a body. @throws HttpError */
export function chatRequest(body: unknown, host: Host): ChatRequest {
  if (!isObject(body)) throw new HttpError(400, 'The body must be a JSON object.', 'invalid_value');
  const { model, stream = false } = body;
  if (typeof model !== 'string' || model === '') throw missing('model');
  const modalities: unknown[] = Array.isArray(body['modalities']) ? body['modalities'] : ['text'];
  const wantsAudio = modalities.includes('audio');
  if (wantsAudio) checkAudio(body['audio'], stream === true, host);
  const tools = Array.isArray(body['tools']) ? body['tools'].map(toolOf) : [];
  const max = body['max_completion_tokens'] ?? body['max_tokens'];
  const options = isObject(body['stream_options']) ? body['stream_options'] : {};
  return {
    host,
    model,
    stream: stream === true,
    audio: wantsAudio,
    context: contextOf(body['messages']),
    tools,
    toolChoice: choiceOf(body['tool_choice']),
    parallel: body['parallel_tool_calls'] !== false,
    maxTokens: typeof max === 'number' ? max : null,
    includeUsage: host === 'openrouter' || options['include_usage'] === true,
    user: textIn(body, 'safety_identifier') ?? textIn(body, 'user') ?? '',
  };
}

function textIn(body: Wire, field: string): string | undefined {
  const value = body[field];
  return typeof value === 'string' ? value : undefined;
}

function checkAudio(value: unknown, stream: boolean, host: Host): void {
  if (!isObject(value)) throw missing('audio');
  const { voice, format } = value;
  if (typeof voice !== 'string' && !isObject(voice)) throw missing('audio.voice');
  if (typeof format !== 'string') throw missing('audio.format');
  if (!stream) {
    const why =
      host === 'openrouter' ? 'Audio output requires stream: true' : 'Audio output is simulated for streams only';
    throw new HttpError(400, why, 'unsupported_value', 'stream');
  }
  if (format !== 'pcm16') {
    const message = `Unsupported value: 'audio.format' does not support '${format}' when stream=true. Supported values are: 'pcm16'.`;
    throw new HttpError(400, message, 'unsupported_value', 'audio.format');
  }
}

function toolOf(tool: unknown): FunctionTool {
  const inner = isObject(tool) ? tool['function'] : null;
  if (!isObject(inner) || typeof inner['name'] !== 'string') {
    throw new HttpError(400, "Invalid 'tools': expected functions with a name.", 'invalid_value', 'tools');
  }
  const { name, parameters } = inner;
  return { type: 'function', name, ...(isObject(parameters) ? { parameters } : {}) };
}

function choiceOf(choice: unknown): ToolChoice {
  if (choice === 'none' || choice === 'required') return choice;
  const inner: Wire = isObject(choice) && isObject(choice['function']) ? choice['function'] : {};
  return typeof inner['name'] === 'string' ? { type: 'function', name: inner['name'] } : 'auto';
}

function missing(param: string): HttpError {
  return new HttpError(400, `Missing required parameter: '${param}'.`, 'missing_required_parameter', param);
}
