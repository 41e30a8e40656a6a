// The languages that the example agent is written in, and how each is run.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ParleyError } from '@parley/core';

export const AGENT_LANGUAGES = ['go', 'python', 'typescript'] as const;
export type AgentLanguage = (typeof AGENT_LANGUAGES)[number];

const PACKAGES = join(import.meta.dirname, '../../../../packages');
const WINDOWS = process.platform === 'win32';

const PROGRAMS: Readonly<Record<Exclude<AgentLanguage, 'typescript'>, { command: string; args: string[] }>> = {
  go: { command: join(PACKAGES, 'go/dist', WINDOWS ? 'support.exe' : 'support'), args: [] },
  python: {
    command: join(PACKAGES, 'python/.venv', WINDOWS ? 'Scripts/python.exe' : 'bin/python'),
    args: [join(PACKAGES, 'python/examples/support.py')],
  },
};

/** Why the agent of a language cannot be run here, or null. */
export function missing(language: AgentLanguage): string | null {
  if (language === 'typescript' || existsSync(PROGRAMS[language].command)) return null;
  const needed = { go: 'Go 1.26', python: 'Python 3.10 or later' }[language];
  return `the agent in ${language} was not built, which needs ${needed} on PATH`;
}

/**
 * The program of a language that is not this one.
 * @throws ParleyError `failed_precondition` where it was not built, for want of its tools.
 */
export function programOf(language: Exclude<AgentLanguage, 'typescript'>): { command: string; args: string[] } {
  const reason = missing(language);
  if (reason !== null) throw new ParleyError('failed_precondition', reason);
  return PROGRAMS[language];
}
