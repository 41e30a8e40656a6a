// Where each provider is, and its key, as the environment says it. A key is a variable, or a file that one names
// (`OPENAI_API_KEY_FILE`), as secrets are mounted in containers. Nothing here is ever logged.

import { readFileSync } from 'node:fs';
import { ParleyError } from '@parley/core';
import type { ModelConfig } from './port.ts';

/** The variables of one provider. */
export interface ProviderEnvironment {
  provider: string;
  /** The variable of its key; with `_FILE` after it, that of a file with the key. */
  key: string;
  /** Whether it works without a key. */
  key_optional?: true;
  /** The variable of its base URL. */
  base_url: string;
  /** The base URL where the variable is not set; without one the variable is needed. */
  default_base_url?: string;
}

/** In the alphabetical order of the providers. */
export const PROVIDER_ENVIRONMENT: readonly ProviderEnvironment[] = [
  { provider: 'azure_openai', key: 'AZURE_OPENAI_API_KEY', base_url: 'AZURE_OPENAI_BASE_URL' },
  {
    provider: 'gemini',
    key: 'GEMINI_API_KEY',
    base_url: 'GEMINI_BASE_URL',
    default_base_url: 'https://generativelanguage.googleapis.com',
  },
  {
    provider: 'openai',
    key: 'OPENAI_API_KEY',
    base_url: 'OPENAI_BASE_URL',
    default_base_url: 'https://api.openai.com/v1',
  },
  {
    provider: 'openai_compatible',
    key: 'OPENAI_COMPATIBLE_API_KEY',
    key_optional: true,
    base_url: 'OPENAI_COMPATIBLE_BASE_URL',
  },
  {
    provider: 'openai_live',
    key: 'OPENAI_API_KEY',
    base_url: 'OPENAI_BASE_URL',
    default_base_url: 'https://api.openai.com/v1',
  },
  {
    provider: 'openrouter',
    key: 'OPENROUTER_API_KEY',
    base_url: 'OPENROUTER_BASE_URL',
    default_base_url: 'https://openrouter.ai/api/v1',
  },
  { provider: 'simulator', key: 'PARLEY_SIMULATOR_KEY', key_optional: true, base_url: 'PARLEY_SIMULATOR_URL' },
  { provider: 'xai', key: 'XAI_API_KEY', base_url: 'XAI_BASE_URL', default_base_url: 'https://api.x.ai/v1' },
];

/**
 * The providers that the environment sets up: those with a base URL, and a key where one is needed.
 *
 * @throws ParleyError `failed_precondition` for a key file that cannot be read, or a key without the base URL it needs.
 * @example
 * const providers = providersFromEnv(process.env); // { openai: { base_url: 'https://api.openai.com/v1', key } }
 */
export function providersFromEnv(env: NodeJS.ProcessEnv): Record<string, ModelConfig> {
  const providers: Record<string, ModelConfig> = {};
  for (const one of PROVIDER_ENVIRONMENT) {
    const key = keyOf(env, one.key);
    const base_url = env[one.base_url] || one.default_base_url;
    if (key === undefined && !one.key_optional) continue;
    if (base_url === undefined) {
      if (key === undefined) continue;
      const message = `${one.key} is set, so ${one.base_url} must be set as well`;
      throw new ParleyError('failed_precondition', message, { details: { provider: one.provider } });
    }
    providers[one.provider] = { base_url, ...(key === undefined ? {} : { key }) };
  }
  return providers;
}

function keyOf(env: NodeJS.ProcessEnv, name: string): string | undefined {
  if (env[name]) return env[name];
  const file = env[`${name}_FILE`];
  if (!file) return undefined;
  try {
    const key = readFileSync(file, 'utf8').trim();
    if (key !== '') return key;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ParleyError('failed_precondition', `${name}_FILE names ${file}, which cannot be read: ${code}`);
  }
  throw new ParleyError('failed_precondition', `${name}_FILE names ${file}, which is empty`);
}
