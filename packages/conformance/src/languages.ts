// Who takes part. A language joins with a testee, a line here, and a file in unsupported/ (an empty list, one hopes).

import { join } from 'node:path';
import type { TesteeCommand } from './testee.ts';

export const LANGUAGES: Readonly<Record<string, TesteeCommand>> = {
  typescript: { command: process.execPath, args: [join(import.meta.dirname, 'testees/typescript.ts')] },
  go: { command: join(import.meta.dirname, '../../go/dist', process.platform === 'win32' ? 'testee.exe' : 'testee'), args: [] },
};
