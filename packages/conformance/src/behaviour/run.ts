// Runs the cases of behaviour against the testee agent of one language, one after the other.

import type { Tally, Unsupported } from '../run.ts';
import type { TesteeCommand } from '../testee.ts';
import { access } from './access.ts';
import { broken } from './broken.ts';
import type { Cases } from './case.ts';
import { control } from './control.ts';
import { drain } from './drain.ts';
import { echo } from './echo.ts';
import { functions } from './functions.ts';
import { House } from './house.ts';
import { interrupt } from './interrupt.ts';
import { resume } from './resume.ts';
import { tools } from './tools.ts';

/** In the order in which they run: what goes on with the same agent first. */
const CHAPTERS: Readonly<Record<string, Cases>> = {
  functions,
  echo,
  control,
  tools,
  interrupt,
  broken,
  resume,
  drain,
  access,
};

export interface BehaviourOptions {
  unsupported: readonly Unsupported[];
  /** Beginning of the ids that are run; empty for all. */
  only: string;
  /** For one case. */
  timeout_ms: number;
  report: (line: string) => void;
}

/** The ids of all cases: `behaviour/echo: a handler …`. */
export function behaviourCases(only = ''): { id: string; run: Cases[string] }[] {
  return Object.entries(CHAPTERS)
    .flatMap(([chapter, cases]) =>
      Object.entries(cases).map(([name, run]) => ({ id: `behaviour/${chapter}: ${name}`, run })),
    )
    .filter(({ id }) => id.startsWith(only));
}

export async function runBehaviour(command: TesteeCommand, options: BehaviourOptions): Promise<Tally> {
  const tally: Tally = { passed: 0, unsupported: 0, failures: [] };
  const declared = (id: string) => options.unsupported.find(({ cases }) => id.startsWith(cases));
  const cases = behaviourCases(options.only);
  // A language that declares all of it needs no house.
  await using house = cases.every(({ id }) => declared(id)) ? null : await House.open(command);
  for (const { id, run } of cases) {
    const reason = declared(id)?.reason;
    if (reason !== undefined || house === null) {
      tally.unsupported++;
      options.report(`unsupported  ${id}: ${reason}`);
      continue;
    }
    const began_ms = performance.now();
    const problem = await attempt(house, run, options.timeout_ms);
    const took = `${Math.round(performance.now() - began_ms)} ms`;
    if (problem === null) tally.passed++;
    else tally.failures.push(`${id}\n    ${problem}`);
    options.report(`${problem === null ? 'passed' : 'FAILED'}  ${id} (${took})`);
  }
  return tally;
}

/** Null when it passed; otherwise why not, and the agent is ended so that the next case finds a fresh one. */
async function attempt(house: House, run: Cases[string], timeout_ms: number): Promise<string | null> {
  const late = new AbortController();
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.abort();
    // What waits for the signal says what it waited for; what does not is left behind.
    setImmediate(() => setTimeout(() => over.reject(new Error(`not done within ${timeout_ms} ms`)), GRACE_MS));
  }, timeout_ms);
  try {
    await Promise.race([run?.({ house, signal: late.signal }), over.promise]);
    return null;
  } catch (error) {
    const stderr = (house.agent?.stderr.trim() ?? '').split('\n').slice(-STDERR_LINES_MAX).join('\n');
    await house.endAgent(AbortSignal.timeout(timeout_ms));
    const shown = error instanceof Error ? error.message : String(error);
    return `${shown}${stderr === '' ? '' : `\nstderr of the agent ends with:\n${stderr}`}`.replaceAll('\n', '\n    ');
  } finally {
    clearTimeout(timer);
  }
}

const GRACE_MS = 500;
const STDERR_LINES_MAX = 12;
