// node dist/realtime/main.js: types to the front desk on the terminal, through OpenAI or whatever OPENAI_BASE_URL names.

import { createInterface } from 'node:readline/promises';
import { RealtimeRunner } from '@parley/realtime';
import { attend, frontDesk } from './front-desk.ts';

const baseUrl = process.env['OPENAI_BASE_URL'];
const runner = new RealtimeRunner(frontDesk, { config: { modelSettings: { outputModalities: ['text'] } } });
await using session = await runner.run({ modelConfig: baseUrl === undefined ? {} : { baseUrl } });
const terminal = createInterface({ input: process.stdin, output: process.stdout });
attend(
  session,
  (line) => terminal.write(`${line}\n`),
  async (what) => (await terminal.question(`Allow ${what}? [y/N] `)).trim().toLowerCase() === 'y',
);
session.on('closed', () => terminal.close());
for await (const line of terminal) if (line.trim() !== '') await session.sendMessage(line);
