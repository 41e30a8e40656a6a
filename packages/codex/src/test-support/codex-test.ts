// A test with the real Codex: skipped, with the reason, where its binary is not there.

import { test } from 'vitest';
import { noCodex, openWorkbench, type Workbench } from './workbench.ts';

const missing = noCodex();

/** `codexTest('a sentence', async ({ lab }) => …)`: `lab` is a workbench of the test's own. */
export const codexTest = test.extend<{ lab: Workbench }>({
  lab: async ({ skip }, use) => {
    skip(missing !== null, missing ?? '');
    await using lab = await openWorkbench();
    await use(lab);
  },
});
