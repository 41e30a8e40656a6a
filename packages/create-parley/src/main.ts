#!/usr/bin/env node
// npm create parley FOLDER

import { relative } from 'node:path';
import { ParleyError } from '@parley/core';
import { Command, Option } from 'commander';
import { createProject, LANGUAGES, type Language } from './project.ts';

const NEXT: Readonly<Record<Language, string[]>> = {
  typescript: ['npm install', 'npm test', 'npm start -- --text'],
  python: [
    'python -m venv .venv && . .venv/bin/activate',
    "pip install -e '.[test]'",
    'pytest',
    'python agent.py run --text',
  ],
};

new Command('create-parley')
  .description('Write a new Parley agent that starts without a key.')
  .argument('[folder]', 'where; its last part is the name of the agent', 'my-agent')
  .addOption(new Option('--language <language>', 'what it is written in').choices([...LANGUAGES]).default('typescript'))
  .action((folder: string, { language }: { language: Language }) => {
    try {
      const files = createProject({ folder, language });
      process.stdout.write(`${files.map((file) => `  ${file}\n`).join('')}\n`);
      const steps = [`cd ${relative(process.cwd(), folder) || '.'}`, ...NEXT[language]];
      process.stdout.write(`Next:\n${steps.map((step) => `  ${step}\n`).join('')}`);
    } catch (thrown) {
      const { code, message } = ParleyError.from(thrown);
      process.stderr.write(`create-parley: ${code}: ${message}\n`);
      process.exitCode = 1;
    }
  })
  .parse();
