// Any server of OpenAI Realtime's shape at a base URL: self-hosted speech servers, Inworld, ElevenLabs Realtime. Some of
// them have kept the names of the preview.

import type { Clock } from '@parley/transport';
import { bearer, type Dialect } from '../openai/dialect.ts';
import { OpenAIModel } from '../openai/model.ts';
import { underNewerName } from '../openai/older-names.ts';
import { RenamedSocket } from '../openai/renamed-socket.ts';
import type { ModelConfig, RealtimeModel } from '../port.ts';

export const OPENAI_COMPATIBLE: Dialect = {
  provider: 'openai_compatible',
  // Not every server of this shape lets a client make them.
  callsAre: 'text',
  keyHeaders: bearer,
  socket: (socket) => new RenamedSocket(socket, underNewerName),
};

export function openaiCompatibleModel(config: ModelConfig, clock?: Clock): RealtimeModel {
  return new OpenAIModel(config, OPENAI_COMPATIBLE, clock);
}
