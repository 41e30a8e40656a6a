// Azure OpenAI: OpenAI Realtime under a resource of one's own. The base URL names the resource
// (`https://RESOURCE.openai.azure.com/openai/v1`), the model is the name of a deployment.

import type { Clock } from '@parley/transport';
import { bearer, type Dialect } from '../openai/dialect.ts';
import { OpenAIModel } from '../openai/model.ts';
import type { ModelConfig, RealtimeModel } from '../port.ts';

export const AZURE_OPENAI: Dialect = {
  provider: 'azure_openai',
  callsAre: 'items',
  // A key of the resource, or a token of Entra, which is a JSON web token.
  keyHeaders: (key) => (isEntraToken(key) ? bearer(key) : { 'api-key': key }),
  safetyHeaders: (safety_id) => ({ 'OpenAI-Safety-Identifier': safety_id }),
};

export function azureOpenaiModel(config: ModelConfig, clock?: Clock): RealtimeModel {
  return new OpenAIModel(config, AZURE_OPENAI, clock);
}

function isEntraToken(key: string): boolean {
  return key.startsWith('eyJ') && key.split('.').length === 3;
}
