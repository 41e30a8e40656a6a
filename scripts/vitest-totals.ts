// A vitest reporter that leaves the totals, and each skip with its reason, in the file that PARLEY_TEST_TOTALS names.
import { writeFileSync } from 'node:fs';
import type { SerializedError } from 'vitest';
import type { Reporter, TestModule } from 'vitest/node';
import { NO_REASON, type Skip, type Totals } from './totals.ts';

export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const file = process.env['PARLEY_TEST_TOTALS'];
    if (file === undefined) return;
    let passed = 0;
    // An error outside of any test fails the run, so it is counted, or the totals would not say why.
    let failed = unhandled.length;
    const skipped: Skip[] = [];
    for (const module of modules) {
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed') failed += 1;
        else if (result.state === 'skipped') {
          skipped.push({
            test: `${module.project.name} ${module.relativeModuleId} > ${test.fullName}`,
            reason: result.note ?? NO_REASON,
          });
        } else failed += 1;
      }
    }
    writeFileSync(file, JSON.stringify({ passed, failed, skipped } satisfies Totals));
  }
}
