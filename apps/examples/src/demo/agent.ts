// The example agent as a child of the demonstration: it ends with its parent, in whatever way that one ends. The first
// argument is its language; an agent of another one is a child of this process in turn.

import { spawn } from 'node:child_process';
import { ParleyError } from '@parley/core';
import { AGENT_LANGUAGES, type AgentLanguage, programOf } from './languages.ts';

const language = AGENT_LANGUAGES.find((one) => one === process.argv[2]) ?? 'typescript';
if (language === 'typescript') {
  process.once('disconnect', () => process.exit(1));
  // Listening alone would keep the process alive after the agent has drained.
  process.channel?.unref();
  await import('../support.ts');
} else {
  runProgram(language);
}

function runProgram(other: Exclude<AgentLanguage, 'typescript'>): void {
  try {
    const { command, args } = programOf(other);
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
    process.once('disconnect', () => child.kill('SIGKILL'));
    child.once('error', ({ message }) => leave(1, `could not start ${command}: ${message}`));
    child.once('exit', (code) => leave(code ?? 1));
  } catch (error) {
    leave(1, ParleyError.from(error, 'internal').message);
  }
}

function leave(code: number, words?: string): void {
  if (words !== undefined) process.stderr.write(`${words}\n`);
  process.exitCode = code;
  // The channel to the demonstration would keep this process alive.
  if (process.connected) process.disconnect();
}
