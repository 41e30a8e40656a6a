// What a test with the real Codex is given. Where its binary is not there, the test is skipped, with the reason:
// `const test = base.extend<Lab>(lab); test('a sentence', async ({ lab }) => …)`.

import type { TestContext } from 'vitest';
import { noCodex } from '../testing/no-codex.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

const missing = noCodex();

export interface Lab {
  /** A workbench of the test's own. */
  lab: Workbench;
}

export const lab = {
  lab: async ({ skip }: Pick<TestContext, 'skip'>, use: (lab: Workbench) => Promise<void>): Promise<void> => {
    skip(missing !== null, missing ?? '');
    await using bench = await openWorkbench();
    await use(bench);
  },
};
