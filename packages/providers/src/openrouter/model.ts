// OpenRouter: streamed chat completions with audio, for the models that hear and speak. It has no realtime socket, so
// every transport is served by turns.

import type { Clock } from '@parley/transport';
import { AudioTurnsModel } from '../audio-turns/model.ts';
import type { ModelConfig, RealtimeModel } from '../port.ts';

export function openRouterModel(config: ModelConfig, clock?: Clock): RealtimeModel {
  return new AudioTurnsModel(
    config,
    {
      provider: 'openrouter',
      // The list of models is public; this one is not.
      probe: () => 'key',
      max_tokens: 'max_tokens',
      user: 'user',
      transcription_model: 'openai/gpt-4o-transcribe',
      // Forms are documented for this path and were seen to fail.
      transcription_shape: 'json',
    },
    clock,
  );
}
