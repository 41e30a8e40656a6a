// The built-in simulator speaks OpenAI Realtime. It wants some key, as the real one does, and takes any.

import type { Clock } from '@parley/transport';
import { OPENAI } from '../openai/dialect.ts';
import { type Dial, OpenAIModel } from '../openai/model.ts';
import type { ModelConfig, RealtimeModel } from '../port.ts';

const ANY_KEY = 'simulator';

export function simulatorModel(config: ModelConfig, clock?: Clock, dial?: Dial): RealtimeModel {
  const dialect = { ...OPENAI, provider: 'simulator' };
  return new OpenAIModel({ ...config, key: config.key ?? ANY_KEY }, dialect, clock, dial);
}
