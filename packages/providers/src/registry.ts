// The providers that are wired, by the names of the capability table.

import { knownProviders, normaliseName, ParleyError } from '@parley/core';
import type { Clock } from '@parley/transport';
import { azureOpenaiModel } from './azure-openai/model.ts';
import { GeminiModel } from './gemini/model.ts';
import { OPENAI } from './openai/dialect.ts';
import { type Dial, OpenAIModel } from './openai/model.ts';
import { openaiCompatibleModel } from './openai-compatible/model.ts';
import { openRouterModel } from './openrouter/model.ts';
import type { ModelConfig, RealtimeModel } from './port.ts';
import { OpenAILiveModel } from './openai-live/model.ts';
import { simulatorModel } from './simulator/model.ts';
import { xaiModel } from './xai/model.ts';

const MODELS: ReadonlyMap<string, (config: ModelConfig, clock?: Clock, dial?: Dial) => RealtimeModel> = new Map([
  ['azure_openai', azureOpenaiModel],
  ['gemini', (config, clock) => new GeminiModel(config, clock)],
  ['openai', (config, clock, dial) => new OpenAIModel(config, OPENAI, clock, dial)],
  ['openai_compatible', openaiCompatibleModel],
  ['openai_live', (config, clock) => new OpenAILiveModel(config, clock)],
  ['openrouter', openRouterModel],
  ['simulator', simulatorModel],
  ['xai', xaiModel],
]);

/**
 * The models of one provider.
 *
 * @param options.dial how a connection is made, for `openai` and `simulator`; without it a WebSocket is dialled.
 * @param options.clock for tests; times of requests and transcripts are measured by it.
 * @throws ParleyError `invalid_argument` for a provider that is not wired.
 * @example
 * const model = createModel('openai', { base_url: 'https://api.openai.com/v1', key });
 * const connection = await model.connect(session);
 */
export function createModel(
  provider: string,
  config: ModelConfig,
  options: { clock?: Clock; dial?: Dial } = {},
): RealtimeModel {
  const make = MODELS.get(normaliseName(provider));
  if (!make) {
    throw new ParleyError(
      'invalid_argument',
      `Unknown session provider '${provider.slice(0, 64)}'. Known providers: ${knownProviders().join(', ')}.`,
    );
  }
  return make(config, options.clock, options.dial);
}
