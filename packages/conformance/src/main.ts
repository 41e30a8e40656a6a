// pnpm conformance [--only FOLDER | --only behaviour/CHAPTER] [--language NAME] [--verbose]

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, SAMPLES } from './behaviour/programs.ts';
import { behaviourCount, runBehaviour, SAMPLE_CASES } from './behaviour/run.ts';
import { absence, built, LANGUAGES } from './languages.ts';
import { run, type Tally, type Unsupported } from './run.ts';
import { readVectors } from './vectors.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    language: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const folder = join(import.meta.dirname, '..');
const vectors = readVectors(join(folder, '../../schemas/vectors'), values.only);
const behaviour = behaviourCount(values.only);
const languages = Object.entries(LANGUAGES).filter(
  ([name]) => values.language === undefined || name === values.language,
);
if (vectors.length + behaviour === 0) throw new Error(`nothing begins with '${values.only}'`);
if (languages.length === 0)
  throw new Error(`no language '${values.language}'; known: ${Object.keys(LANGUAGES).join(', ')}`);

for (const [name, command] of languages) {
  const absent = absence(command);
  if (absent !== null) {
    console.log(`skipped: conformance of ${name}: ${absent}`);
    continue;
  }
  const unsupported = JSON.parse(readFileSync(join(folder, `unsupported/${name}.json`), 'utf8')) as Unsupported[];
  const report = values.verbose ? (line: string) => console.log(line) : () => {};
  const tallies: Tally[] = [];
  if (vectors.length > 0) {
    const problem = built(command);
    if (problem !== null) tallies.push({ passed: 0, unsupported: 0, failures: [`vectors\n    ${problem}`] });
    else tallies.push(await run(vectors, command, { unsupported, timeout_ms: 10_000, restarts_max: 5, report }));
  }
  if (behaviour > 0) tallies.push(await behaviourOf(name, unsupported, report));

  const count = (of: (tally: Tally) => number) => tallies.reduce((sum, tally) => sum + of(tally), 0);
  for (const failure of tallies.flatMap(({ failures }) => failures)) console.log(`FAILED  ${failure}`);
  const failed = count(({ failures }) => failures.length);
  console.log(
    `${name}: ${count(({ passed }) => passed)} passed, ${failed} failed, ${count((one) => one.unsupported)} declared unsupported`,
  );
  if (failed > 0) process.exitCode = 1;
}

/** What cannot run here is said with its reason; what does not build has failed. */
async function behaviourOf(
  name: string,
  unsupported: readonly Unsupported[],
  report: (line: string) => void,
): Promise<Tally> {
  const none: Tally = { passed: 0, unsupported: 0, failures: [] };
  const prepared = prepare(name);
  if ('failed' in prepared) return { ...none, failures: [`behaviour\n    ${prepared.failed}`] };
  if ('missing' in prepared) {
    console.log(`skipped: behaviour of ${name} (${behaviour} cases): ${prepared.missing}`);
    return none;
  }
  const ofSamples = values.only.startsWith(SAMPLE_CASES) ? behaviour : behaviourCount(SAMPLE_CASES);
  if (prepared.programs.samples === null && SAMPLE_CASES.startsWith(values.only.slice(0, SAMPLE_CASES.length))) {
    console.log(`skipped: samples of ${name} (${ofSamples} cases): not all of ${SAMPLES.join(', ')} exist`);
  }
  return runBehaviour(prepared.programs, {
    unsupported,
    only: values.only,
    // What hangs is to be noticed. On a machine with other work an interpreter alone may take ten seconds to start.
    timeout_ms: 60_000,
    starts_max: 3,
    report,
  });
}
