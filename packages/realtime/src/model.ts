// Where a session's model comes from.

import { ParleyError } from '@parley/core';
import { createModel, type RealtimeModel } from '@parley/providers';
import type { RealtimeModelConfig, RealtimeModelSource } from './options.ts';

const OPENAI = 'https://api.openai.com/v1';

/** The model for one connection. */
export async function modelOf(
  source: RealtimeModelSource | undefined,
  config: RealtimeModelConfig,
): Promise<RealtimeModel> {
  if (typeof source === 'function') return source(config);
  return source ?? openai(config);
}

async function openai(config: RealtimeModelConfig): Promise<RealtimeModel> {
  const { apiKey = process.env['OPENAI_API_KEY'], baseUrl = OPENAI } = config;
  const key = typeof apiKey === 'function' ? await apiKey() : apiKey;
  if (key === undefined || key === '') {
    throw new ParleyError('unauthenticated', 'no key for OpenAI: set modelConfig.apiKey or OPENAI_API_KEY', {
      details: { boundary: 'session -> provider' },
    });
  }
  return createModel('openai', {
    base_url: baseUrl,
    key,
    headers: config.headers,
    connect_timeout_ms: config.connectTimeoutMs,
  });
}
