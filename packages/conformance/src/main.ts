// pnpm conformance [--only FOLDER] [--language NAME] [--verbose]

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LANGUAGES } from './languages.ts';
import { run, type Unsupported } from './run.ts';
import { readVectors } from './vectors.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    language: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const folder = join(import.meta.dirname, '..');
const cases = readVectors(join(folder, '../../schemas/vectors'), values.only);
const languages = Object.entries(LANGUAGES).filter(
  ([name]) => values.language === undefined || name === values.language,
);
if (cases.length === 0) throw new Error(`no vectors below '${values.only}'`);
if (languages.length === 0)
  throw new Error(`no language '${values.language}'; known: ${Object.keys(LANGUAGES).join(', ')}`);

for (const [name, command] of languages) {
  const unsupported = JSON.parse(readFileSync(join(folder, `unsupported/${name}.json`), 'utf8')) as Unsupported[];
  const tally = await run(cases, command, {
    unsupported,
    timeout_ms: 10_000,
    restarts_max: 5,
    report: values.verbose ? (line) => console.log(line) : () => {},
  });
  for (const failure of tally.failures) console.log(`FAILED  ${failure}`);
  console.log(
    `${name}: ${tally.passed} passed, ${tally.failures.length} failed, ${tally.unsupported} declared unsupported`,
  );
  if (tally.failures.length > 0) process.exitCode = 1;
}
