// Changes of a session, between the options that a connection is opened with and the command that tells them to one.

import type { ModelCommandOf } from '@parley/core';
import type { ModelSessionOptions } from '../port.ts';

/** What an update changes of the options of a session. */
export function changes({
  instructions,
  voice,
  turn_detection,
  tools,
}: ModelCommandOf<'update'>): Partial<ModelSessionOptions> {
  return {
    ...(instructions === undefined ? {} : { instructions }),
    ...(voice === undefined ? {} : { voice }),
    ...(turn_detection === undefined ? {} : { turn_detection }),
    ...(tools === undefined ? {} : { tools }),
  };
}

/** The update that tells a connection what the session is by now. */
export function toldAgain({ instructions, turn_detection, tools }: ModelSessionOptions): ModelCommandOf<'update'> {
  return {
    type: 'update',
    ...(instructions === undefined ? {} : { instructions }),
    turn_detection,
    tools: tools.map(({ name, description, input_schema }) => ({
      name,
      ...(description === undefined ? {} : { description }),
      ...(input_schema === undefined ? {} : { input_schema }),
    })),
  };
}
