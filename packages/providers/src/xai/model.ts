// xAI Grok voice: OpenAI Realtime with deltas. The model stands in the URL alone, voice and turn detection stand flat in
// the session, `conversation.created` comes first, and the server sends `ping`.

import type { Clock } from '@parley/transport';
import { bearer, type Dialect } from '../openai/dialect.ts';
import { OpenAIModel } from '../openai/model.ts';
import { RenamedSocket } from '../openai/renamed-socket.ts';
import type { ModelConfig, RealtimeModel } from '../port.ts';
import { xaiFrames } from './frames.ts';
import { xaiSession } from './session-config.ts';

export const XAI: Dialect = {
  provider: 'xai',
  callsAre: 'items',
  keyHeaders: bearer,
  session: xaiSession,
  socket: (socket) => new RenamedSocket(socket, xaiFrames()),
};

export function xaiModel(config: ModelConfig, clock?: Clock): RealtimeModel {
  return new OpenAIModel(config, XAI, clock);
}
