// A session as OpenAI Live is told it: `session.start`, and the few things that may change afterwards.

import { listIn, objectIn, textIn, type Wire } from '../openai/wire.ts';
import type { ModelSessionOptions } from '../port.ts';

/** The model that tools run with, where Live hands work to a Responses model. */
export const DELEGATION_MODEL = 'gpt-5.5';

export interface LiveSettings {
  /** A handler answers: work is delegated to this side. Else a Responses model has the tools. */
  delegation: 'client' | 'responses';
  delegation_model: string;
}

/** @param session in OpenAI Realtime's shape, as `session.update` has it. */
export function startOf(session: Wire, { model }: ModelSessionOptions, settings: LiveSettings): Wire {
  const output = objectIn(objectIn(session, 'audio'), 'output');
  const instructions = textIn(session, 'instructions');
  return {
    model,
    ...(instructions ? { instructions } : {}),
    audio: {
      format: { type: 'audio/pcm', rate: 24_000 },
      ...('voice' in output ? { output: { voice: output['voice'] } } : {}),
    },
    delegation:
      settings.delegation === 'client'
        ? { type: 'client' }
        : {
            type: 'responses',
            responses: {
              model: settings.delegation_model,
              ...(instructions ? { instructions } : {}),
              tools: toolsOf(session),
              tool_choice: 'auto',
            },
          },
  };
}

export function toolsOf(session: Wire): Wire[] {
  return listIn(session, 'tools').map(({ name, description, parameters }) => ({
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    parameters: parameters ?? { type: 'object', properties: {} },
  }));
}
