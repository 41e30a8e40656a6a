// Which Codex, and who runs its models: from options and the environment.

import { ParleyError } from '@parley/client';
import { CODEX_VERSION, type CodexOptions, findCodex } from '@parley/codex';

export interface BackendOptions {
  model?: string;
  providerUrl?: string;
  codexHome?: string;
  codex?: string;
}

const OPENAI_URL = 'https://api.openai.com/v1';

/**
 * @param home where conversations are kept when no home of Codex was named.
 * @throws ParleyError `failed_precondition` when there is neither a provider nor a login.
 */
export function backendOf(options: BackendOptions, home: string): CodexOptions {
  const { OPENAI_API_KEY: key, OPENAI_BASE_URL: url, PARLEY_TURN_MODEL: model } = process.env;
  const common = { codexPath: options.codex, model: options.model ?? (model || undefined) };
  if (options.codexHome !== undefined) return { ...common, home: options.codexHome };
  // An empty variable says nothing.
  const baseUrl = options.providerUrl ?? (url || undefined);
  if (!key && baseUrl === undefined) {
    throw new ParleyError(
      'failed_precondition',
      'nobody is there to run the model: set OPENAI_API_KEY, or name a --provider-url, or a --codex-home where `codex login` was done',
    );
  }
  return { ...common, home, providers: [{ id: 'parley', baseUrl: baseUrl ?? OPENAI_URL, ...(key && { key }) }] };
}

/** What stands in `doctor`: the version, or null where it is not installed. */
export function foundCodex(): string | null {
  try {
    return `${CODEX_VERSION}, ${findCodex().path}`;
  } catch (error) {
    if (error instanceof ParleyError) return null;
    throw error;
  }
}
