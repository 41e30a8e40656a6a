// How many tests passed, and the plain line that says so. Every suite, in any language, ends its output with that line.

export interface Skip {
  readonly test: string;
  readonly reason: string;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: readonly Skip[];
}

export const NONE: Totals = { passed: 0, failed: 0, skipped: [] };

/** What a skip is reported with when the test gave no reason; a test should. */
export const NO_REASON = 'no reason given';

export function add(a: Totals, b: Totals): Totals {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: [...a.skipped, ...b.skipped] };
}

/** `12 passed, 0 failed`, and `, 2 skipped` when there are some. */
export function plainLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
}

const LINE = /^(?:[\w-]+: )?(\d+) passed, (\d+) failed(?:, \d+ (?:skipped|declared unsupported))?$/;
const SKIPPED = /^skipped: (.+): ([^:]+)$/;

/**
 * Reads the totals out of a suite's output: its lines `N passed, N failed` (one a language may be prefixed, as in
 * `typescript: 12 passed, 0 failed, 3 declared unsupported`), and a line `skipped: TEST: REASON` for each skip.
 * A suite that ended badly, or did not say its totals, has failed once more than it says.
 */
export function readTotals(output: string, code: number): Totals {
  const lines = output.split('\n').map((line) => line.trimEnd());
  const counts = lines.map((line) => LINE.exec(line)).filter((match) => match !== null);
  const skipped = lines
    .map((line) => SKIPPED.exec(line))
    .filter((match) => match !== null)
    .map(([, test = '', reason = NO_REASON]) => ({ test, reason }));
  const passed = counts.reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = counts.reduce((sum, match) => sum + Number(match[2]), 0);
  const silent = counts.length === 0 || (code !== 0 && failed === 0);
  return { passed, failed: failed + (silent ? 1 : 0), skipped };
}

/** Where any skip is a failure, every skipped test counts as one that failed. */
export function withoutSkips({ passed, failed, skipped }: Totals): Totals {
  return { passed, failed: failed + skipped.length, skipped: [] };
}
