// The coder with Codex behind it: node dist/coder/main.js [DIRECTORY]
// It needs the package @openai/codex, and either OPENAI_API_KEY or CODEX_HOME, a folder where `codex login` was done.

import { resolve } from 'node:path';
import { type CodexOptions, startCodex } from '@parley/codex';
import { coderAgent } from './agent.ts';

const key = process.env['OPENAI_API_KEY'];
const options: CodexOptions =
  key === undefined
    ? { home: process.env['CODEX_HOME'] }
    : {
        providers: [{ id: 'openai-api', baseUrl: process.env['OPENAI_BASE_URL'] ?? 'https://api.openai.com/v1', key }],
      };

await using factory = await startCodex({ ...options, model: process.env['PARLEY_CODER_MODEL'] });
await coderAgent(factory, resolve(process.argv[2] ?? '.')).serve();
