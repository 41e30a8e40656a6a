// What the provider is told about a session, in `session.update`.

import type { ModelCommandOf, TurnDetection } from '@parley/core';
import type { ModelSessionOptions } from '../port.ts';
import { isObject, type Wire } from './wire.ts';

export const TRANSCRIPTION_MODEL = 'gpt-transcribe';
const PCM24 = { type: 'audio/pcm', rate: 24_000 } as const;

type Tool = ModelSessionOptions['tools'][number];

/** The first `session.update`: everything that the session is. */
export function sessionOf(
  options: ModelSessionOptions,
  transcription_model: string | undefined,
  /** Of a call the formats are what its SDP says. */
  formats: { format?: Wire } = { format: PCM24 },
): Wire {
  const audio = options.modalities.includes('audio');
  const session = {
    type: 'realtime',
    output_modalities: audio ? ['audio'] : ['text'],
    instructions: options.instructions ?? '',
    tools: options.tools.map(toolOf),
    tool_choice: 'auto',
    audio: {
      input: {
        ...formats,
        turn_detection: audio ? detectionOf(options.turn_detection, options.responder) : null,
        transcription: audio
          ? {
              model: transcription_model ?? TRANSCRIPTION_MODEL,
              ...(options.language === undefined ? {} : { language: options.language }),
            }
          : null,
      },
      output: { ...formats, voice: options.voice },
    },
  };
  return merged(session, options.settings ?? {});
}

/** `more` over `base`, object by object; null and lists take the place of what was there. Tools come after the functions. */
function merged(base: Wire, more: Wire): Wire {
  const own = base['tools'];
  const others = more['tools'];
  const result = over(base, more);
  if (Array.isArray(own) && Array.isArray(others)) result['tools'] = [...(own as unknown[]), ...(others as unknown[])];
  return result;
}

function over(base: Wire, more: Wire): Wire {
  const result: Wire = { ...base };
  for (const [key, value] of Object.entries(more)) {
    const old = Object.hasOwn(result, key) ? result[key] : undefined;
    if (value !== undefined) result[key] = isObject(old) && isObject(value) ? over(old, value) : value;
  }
  return result;
}

/** A patch: only what the command names. */
export function patchOf(command: ModelCommandOf<'update'>, responder: ModelSessionOptions['responder']): Wire {
  const { instructions, voice, turn_detection, tools } = command;
  const input =
    turn_detection === undefined ? {} : { input: { turn_detection: detectionOf(turn_detection, responder) } };
  const output = voice === undefined ? {} : { output: { voice } };
  const audio = { ...input, ...output };
  const patch = {
    type: 'realtime',
    ...(instructions === undefined ? {} : { instructions }),
    ...(tools === undefined ? {} : { tools: tools.map(toolOf) }),
    ...(Object.keys(audio).length === 0 ? {} : { audio }),
  };
  return merged(patch, command.settings ?? {});
}

/** Where a handler answers, the model must not answer a turn by itself. */
function detectionOf(detection: TurnDetection | null, responder: ModelSessionOptions['responder']): Wire | null {
  if (detection === null) return null;
  return responder === 'handler' ? { ...detection, create_response: false } : { ...detection };
}

function toolOf({ name, description, input_schema }: Tool): Wire {
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    parameters: input_schema ?? { type: 'object', properties: {} },
  };
}
