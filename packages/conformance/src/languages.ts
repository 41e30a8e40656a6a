// Who takes part. A language joins with a testee, a line here, and a file in unsupported/ (an empty list, one hopes).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TesteeCommand } from './testee.ts';

const PACKAGES = join(import.meta.dirname, '../..');
const WINDOWS = process.platform === 'win32';

export const LANGUAGES: Readonly<Record<string, TesteeCommand>> = {
  typescript: { command: process.execPath, args: [join(import.meta.dirname, 'testees/typescript.ts')] },
  python: { command: 'python3', args: [join(PACKAGES, 'python/tools/dev.py'), 'testee'], needs: 'python3' },
  go: {
    command: join(PACKAGES, 'go/dist', WINDOWS ? 'testee.exe' : 'testee'),
    args: [],
    cwd: join(PACKAGES, 'go'),
    needs: 'go',
    build: ['build', '-o', 'dist/', './internal/testee'],
  },
};

/** Why a language cannot take part on this machine, or null. */
export function absence({ needs }: TesteeCommand): string | null {
  if (needs === undefined) return null;
  const names = WINDOWS ? [`${needs}.exe`, `${needs}.cmd`] : [needs];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
  return found ? null : `${needs} is not on PATH`;
}

/** Builds the testee of a language that needs it. Returns what went wrong, or null. */
export function built({ needs, build, cwd }: TesteeCommand): string | null {
  if (needs === undefined || build === undefined) return null;
  const { status, stderr } = spawnSync(needs, build, { encoding: 'utf8', ...(cwd === undefined ? {} : { cwd }) });
  return status === 0 ? null : `${needs} ${build.join(' ')} ended with ${status}\n${stderr}`;
}
