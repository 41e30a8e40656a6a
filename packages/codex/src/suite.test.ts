import { agentRunnerSuite, type AdapterUnderTest } from '@parley/turns/testing';
import { expect, test } from 'vitest';
import type { CodexSessionFactory } from './factory.ts';
import { openWorkbench, steps } from './test-support/workbench.ts';
import { noCodex } from './testing/no-codex.ts';

const missing = noCodex();

async function open(): Promise<AdapterUnderTest> {
  const bench = await openWorkbench();
  return {
    factory: () => bench.factory(),
    workingDirectory: bench.folder,
    prompts: {
      say: (text) => steps({ text }),
      count: () => steps({ count: true }),
      sayLater: (text) => steps({ text, delayMs: 100 }),
      hang: () => steps({ hangs: true }),
      fail: () => steps({ fails: { code: 'context_length_exceeded', message: 'too long, as scripted' } }),
      call: (name, input) => steps({ call: name, input }, { text: 'done' }),
    },
    hanging: () => bench.provider.hanging(),
    lose: (factory) => {
      const { pid } = factory as CodexSessionFactory;
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

for (const { name, run } of agentRunnerSuite(open)) {
  test(name, async ({ skip }) => {
    skip(missing !== null, missing ?? '');
    await expect(run()).resolves.toBeUndefined();
  });
}
