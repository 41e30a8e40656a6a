// Runs the cases against one language and counts.

import { Testee, type TesteeCommand } from './testee.ts';
import type { Case } from './vectors.ts';

/** Cases that a language declares it does not do, each with its reason. */
export interface Unsupported {
  /** Beginning of the ids that are meant: `sessions/` or `ids/shape: …`. */
  cases: string;
  reason: string;
}

export interface Tally {
  passed: number;
  unsupported: number;
  /** One line each. */
  failures: string[];
}

export interface RunOptions {
  unsupported: readonly Unsupported[];
  /** For one answer. */
  timeout_ms: number;
  /** A testee that was restarted this often is given up: the rest fails without being asked. */
  restarts_max: number;
  report: (line: string) => void;
}

export async function run(cases: readonly Case[], command: TesteeCommand, options: RunOptions): Promise<Tally> {
  await using testee = new Testee(command, options);
  const tally: Tally = { passed: 0, unsupported: 0, failures: [] };
  let restarts = 0;
  for (const one of cases) {
    const declared = options.unsupported.find(({ cases: beginning }) => one.id.startsWith(beginning));
    if (declared) {
      tally.unsupported++;
      options.report(`unsupported  ${one.id}: ${declared.reason}`);
      continue;
    }
    const problem = restarts > options.restarts_max ? 'not asked: the testee failed too often' : await ask(one);
    if (problem === null) tally.passed++;
    else tally.failures.push(`${one.id}\n    ${problem}`);
    options.report(`${problem === null ? 'passed' : 'FAILED'}  ${one.id}`);
  }
  return tally;

  async function ask(one: Case): Promise<string | null> {
    const outcome = await testee.ask(one.op, one.input);
    if ('answer' in outcome) return one.matches(outcome.answer);
    restarts++;
    return outcome.failure;
  }
}
