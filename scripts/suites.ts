// The suites that make up `npm test`. Each tells its totals; none knows of the others.
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { readTotals, type Totals } from './totals.ts';
import { bin, packages, root, run, temporary } from './workspace.ts';

export interface Suite {
  readonly name: string;
  /** The folder it tests, for `npm test -- packages/core`; none when it tests them all and filters by itself. */
  readonly folder?: string;
  readonly run: (filters: readonly string[]) => Promise<Totals>;
}

/** Every package's tests in one vitest run, which prints as it goes. */
const vitest: Suite = {
  name: 'vitest',
  async run(filters) {
    const file = join(temporary('test'), 'totals.json');
    const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts', 'vitest-totals.ts')}`];
    const { code } = await run(bin('vitest'), ['run', ...reporters, ...filters], {
      output: 'inherit',
      env: { PARLEY_TEST_TOTALS: file },
    });
    if (!existsSync(file)) return { passed: 0, failed: 1, skipped: [] };
    const totals = JSON.parse(readFileSync(file, 'utf8')) as Totals;
    return code !== 0 && totals.failed === 0 ? { ...totals, failed: 1 } : totals;
  },
};

/** The shared vectors, against every testee that the conformance package knows. */
function conformance(): Suite[] {
  const main = 'packages/conformance/src/main.ts';
  if (!existsSync(join(root, main))) return [];
  return [{ name: 'conformance', folder: 'packages/conformance', run: () => totalsOf(process.execPath, [main]) }];
}

/** What builds and tests the packages of another language: their `test` script must end with the plain line. */
export const TOOLCHAINS: Readonly<Record<string, string>> = { 'packages/python': 'python3', 'packages/go': 'go' };

function languages(): Suite[] {
  return packages()
    .filter((pkg) => pkg.folder in TOOLCHAINS && pkg.scripts?.['test'] !== undefined)
    .map((pkg) => ({
      name: pkg.folder,
      folder: pkg.folder,
      async run() {
        const tool = TOOLCHAINS[pkg.folder] ?? '';
        if (!onPath(tool)) {
          const reason = `${tool} is not on PATH`;
          return { passed: 0, failed: 0, skipped: [{ test: `${pkg.folder} (all its tests)`, reason }] };
        }
        return totalsOf('pnpm', ['--filter', pkg.name, 'run', 'test']);
      },
    }));
}

/** The checks, counted as tests, so that one run and one line can say whether a change may go in. */
const check: Suite = {
  name: 'check',
  run: () => totalsOf(process.execPath, ['scripts/check.ts']),
};

export function suites(options: { readonly check: boolean }): Suite[] {
  return [...(options.check ? [check] : []), vitest, ...conformance(), ...languages()];
}

async function totalsOf(command: string, args: readonly string[]): Promise<Totals> {
  const { code, output } = await run(command, args, { output: 'tee' });
  return readTotals(output, code);
}

export function onPath(command: string): boolean {
  const names = process.platform === 'win32' ? [`${command}.exe`, `${command}.cmd`] : [command];
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => names.some((name) => existsSync(join(folder, name))));
}
