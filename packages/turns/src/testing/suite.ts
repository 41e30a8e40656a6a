// What every adapter has to keep, as cases that any test runner can run:
// `for (const { name, run } of agentRunnerSuite(open)) test(name, run);`

import { answerCases } from './answer-cases.ts';
import type { AdapterUnderTest } from './case.ts';
import { factoryCases } from './factory-cases.ts';
import { turnCases } from './turn-cases.ts';

export interface SuiteCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

const CASES = { ...factoryCases, ...turnCases, ...answerCases };

/** The cases for an adapter; `open` is called once for each. */
export function agentRunnerSuite(open: () => Promise<AdapterUnderTest>): SuiteCase[] {
  return Object.entries(CASES).map(([name, body]) => ({
    name,
    run: async () => {
      await using under = await open();
      await body(under);
    },
  }));
}
