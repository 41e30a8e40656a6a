import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { knownProviders } from '@parley/core';
import { expect, test } from 'vitest';
import { PROVIDER_ENVIRONMENT, providersFromEnv } from './environment.ts';

test('every known provider can be set up by the environment', () => {
  expect(PROVIDER_ENVIRONMENT.map((one) => one.provider)).toEqual(knownProviders());
});

test('a key alone is enough where the address is known', () => {
  expect(providersFromEnv({ OPENAI_API_KEY: 'one', XAI_API_KEY: 'two' })).toEqual({
    openai: { base_url: 'https://api.openai.com/v1', key: 'one' },
    openai_live: { base_url: 'https://api.openai.com/v1', key: 'one' },
    xai: { base_url: 'https://api.x.ai/v1', key: 'two' },
  });
});

test('an address alone is enough where no key is needed, and sets up nothing where one is', () => {
  const env = { OPENAI_COMPATIBLE_BASE_URL: 'http://127.0.0.1:8765/v1', OPENAI_BASE_URL: 'https://proxy.example/v1' };
  expect(providersFromEnv(env)).toEqual({ openai_compatible: { base_url: 'http://127.0.0.1:8765/v1' } });
});

test('a key without the address that it needs is told', () => {
  expect(() => providersFromEnv({ AZURE_OPENAI_API_KEY: 'one' })).toThrow(
    'AZURE_OPENAI_API_KEY is set, so AZURE_OPENAI_BASE_URL must be set as well',
  );
});

test('a key may stand in a file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'parley-key-'));
  const file = join(directory, 'key');
  try {
    writeFileSync(file, 'sk-from-a-file\n');
    expect(providersFromEnv({ OPENAI_API_KEY_FILE: file })['openai']?.key).toBe('sk-from-a-file');
    writeFileSync(file, '\n');
    expect(() => providersFromEnv({ OPENAI_API_KEY_FILE: file })).toThrow('which is empty');
    rmSync(file);
    expect(() => providersFromEnv({ OPENAI_API_KEY_FILE: file })).toThrow('cannot be read: ENOENT');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
