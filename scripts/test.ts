// npm test [-- packages/core …] [--no-skips] [--check]: builds, then runs every suite, and ends with `N passed, N failed`.
//
// --no-skips   a skipped test is a failed test
// --check      the checks of `npm run check` are counted with the tests
import { parseArgs } from 'node:util';
import { suites } from './suites.ts';
import { add, NONE, plainLine, withoutSkips } from './totals.ts';
import { prepare } from './workspace.ts';

const { values: flags, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    'no-skips': { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});

let totals = NONE;
if (await prepare()) {
  for (const suite of suites(flags)) {
    const { folder } = suite;
    const asked = filters.length === 0 || folder === undefined || filters.some((filter) => filter.startsWith(folder));
    if (!asked) continue;
    process.stdout.write(`\n== ${suite.name}\n`);
    totals = add(totals, await suite.run(filters));
  }
} else {
  totals = { ...NONE, failed: 1 };
}

if (totals.skipped.length > 0) {
  process.stdout.write('\nskipped on this machine:\n');
  for (const { test, reason } of totals.skipped) process.stdout.write(`  ${test}: ${reason}\n`);
}
const counted = flags['no-skips'] ? withoutSkips(totals) : totals;
process.stdout.write(`\n${plainLine(counted)}\n`);
process.exitCode = counted.failed > 0 ? 1 : 0;
