// The agent of each language as a command, where this machine has what it takes.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ProgramCommand } from './subjects/program.ts';

const agents = join(import.meta.dirname, 'agents');
const WINDOWS = process.platform === 'win32';

/** A command, or why there is none. */
export type Prepared = { command: ProgramCommand } | { missing: string };

export const LANGUAGES: Readonly<Record<string, () => Prepared>> = {
  typescript: () => ({
    command: { command: process.execPath, args: ['--expose-gc', join(agents, 'typescript.ts')] },
  }),
  python() {
    const python = join(agents, '../../../python/.venv', WINDOWS ? 'Scripts/python.exe' : 'bin/python');
    if (!existsSync(python)) return { missing: 'packages/python has no .venv, so it was not built' };
    return { command: { command: python, args: [join(agents, 'python.py')] } };
  },
  go() {
    const program = join(agents, '../../dist', WINDOWS ? 'go-agent.exe' : 'go-agent');
    const built = spawnSync('go', ['build', '-o', program, '.'], { cwd: join(agents, 'go'), encoding: 'utf8' });
    if (built.error) return { missing: 'go is not on PATH' };
    if (built.status !== 0)
      throw new Error(`go build of the bench's agent ended with ${built.status}\n${built.stderr}`);
    return { command: { command: program, args: [] } };
  },
};
