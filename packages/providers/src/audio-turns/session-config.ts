// What a session was told, in the shape of OpenAI Realtime: `session.update` patches it.

import type { TurnDetection } from '@parley/core';
import { isObject, listIn, objectIn, textIn, type Wire } from '../openai/wire.ts';

export interface TurnsSession {
  readonly id: string;
  readonly model: string;
  instructions: string;
  voice: string;
  tools: Wire[];
  tool_choice: unknown;
  modality: 'audio' | 'text';
  turn_detection: TurnDetection | null;
  language: string | undefined;
  /** Null where nobody writes down what the user says. */
  transcription_model: string | null;
}

const PCM24 = { type: 'audio/pcm', rate: 24_000 } as const;

/** Takes what stands in `session` of a `session.update`; what does not stand there stays. */
export function patch(session: TurnsSession, wire: Wire): void {
  session.instructions = textIn(wire, 'instructions') ?? session.instructions;
  if (Array.isArray(wire['tools'])) session.tools = listIn(wire, 'tools');
  if (wire['tool_choice'] !== undefined) session.tool_choice = wire['tool_choice'];
  const [modality] = Array.isArray(wire['output_modalities']) ? wire['output_modalities'] : [];
  if (modality === 'audio' || modality === 'text') session.modality = modality;
  const audio = objectIn(wire, 'audio');
  session.voice = textIn(objectIn(audio, 'output'), 'voice') ?? session.voice;
  const input = objectIn(audio, 'input');
  if (input['turn_detection'] === null) session.turn_detection = null;
  else if (isObject(input['turn_detection'])) session.turn_detection = input['turn_detection'] as TurnDetection;
  if (input['transcription'] === null) session.transcription_model = null;
  else if (isObject(input['transcription'])) {
    session.transcription_model = textIn(input['transcription'], 'model') ?? session.transcription_model;
    session.language = textIn(input['transcription'], 'language') ?? session.language;
  }
}

/** The session as `session.created` and `session.updated` show it. */
export function sessionOnWire(session: TurnsSession): Wire {
  const { id, model, instructions, voice, tools, tool_choice, modality, turn_detection, transcription_model } = session;
  return {
    id,
    object: 'realtime.session',
    type: 'realtime',
    model,
    output_modalities: [modality],
    instructions,
    tools,
    tool_choice,
    max_output_tokens: 'inf',
    audio: {
      input: {
        format: PCM24,
        noise_reduction: null,
        transcription: transcription_model === null ? null : { model: transcription_model },
        turn_detection,
      },
      output: { format: PCM24, voice, speed: 1 },
    },
    include: null,
    prompt: null,
    tracing: null,
  };
}
