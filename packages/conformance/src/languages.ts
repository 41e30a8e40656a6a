// Who takes part. A language joins with a testee, a line here, and a file in unsupported/ (an empty list, one hopes).

import { join } from 'node:path';
import type { TesteeCommand } from './testee.ts';

const PACKAGES = join(import.meta.dirname, '../..');

export const LANGUAGES: Readonly<Record<string, TesteeCommand>> = {
  typescript: { command: process.execPath, args: [join(import.meta.dirname, 'testees/typescript.ts')] },
  python: { command: 'python3', args: [join(PACKAGES, 'python/tools/dev.py'), 'testee'] },
};
