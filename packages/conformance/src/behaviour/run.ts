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
import type { Programs } from './programs.ts';
import { resume } from './resume.ts';
import { samples } from './samples.ts';
import { tools } from './tools.ts';

/**
 * Lanes run side by side, each in a house of its own, because most of a case is waiting; within a lane one case follows
 * the other, and those that go on with the same agent come first.
 */
const LANES: readonly Readonly<Record<string, Cases>>[] = [
  { functions, echo, control, tools, broken },
  { resume },
  { interrupt, drain, access, samples },
];

export interface BehaviourOptions {
  unsupported: readonly Unsupported[];
  /** Beginning of the ids that are run; empty for all. */
  only: string;
  /** For one case. */
  timeout_ms: number;
  /** An agent that did not start so often in a row is given up: the rest of its lane fails without being run. */
  starts_max: number;
  report: (line: string) => void;
}

/** Beginning of the ids of what needs the samples. */
export const SAMPLE_CASES = 'behaviour/samples';

/** One case, by its id: `behaviour/echo: a handler …`. */
interface Listed {
  id: string;
  run: Cases[string];
}

function lanes(only: string): Listed[][] {
  return LANES.map((lane) =>
    Object.entries(lane)
      .flatMap(([chapter, cases]) =>
        Object.entries(cases).map(([name, run]) => ({ id: `behaviour/${chapter}: ${name}`, run })),
      )
      .filter(({ id }) => id.startsWith(only)),
  );
}

/** How many cases have ids that begin so. */
export function behaviourCount(only = ''): number {
  return lanes(only).flat().length;
}

/** Cases of samples that the language does not have are left out; whoever calls says so. */
export async function runBehaviour(programs: Programs, options: BehaviourOptions): Promise<Tally> {
  const mine = ({ id }: Listed) => programs.samples !== null || !id.startsWith(SAMPLE_CASES);
  const tallies = await Promise.all(lanes(options.only).map((lane) => runLane(lane.filter(mine), programs, options)));
  return {
    passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
    unsupported: tallies.reduce((sum, { unsupported }) => sum + unsupported, 0),
    failures: tallies.flatMap(({ failures }) => failures),
  };
}

async function runLane(lane: readonly Listed[], programs: Programs, options: BehaviourOptions): Promise<Tally> {
  const tally: Tally = { passed: 0, unsupported: 0, failures: [] };
  const mine: Listed[] = [];
  for (const one of lane) {
    const declared = options.unsupported.find(({ cases }) => one.id.startsWith(cases));
    if (!declared) mine.push(one);
    else {
      tally.unsupported++;
      options.report(`unsupported  ${one.id}: ${declared.reason}`);
    }
  }
  if (mine.length === 0) return tally;
  await using house = await House.open(programs.agent);
  for (const { id, run } of mine) {
    const began_ms = performance.now();
    const problem =
      house.failedStarts < options.starts_max
        ? await attempt(house, programs, run, options.timeout_ms)
        : `not run: the agent did not start ${options.starts_max} times in a row`;
    const took = `${Math.round(performance.now() - began_ms)} ms`;
    if (problem === null) tally.passed++;
    else tally.failures.push(`${id}\n    ${problem}`);
    options.report(`${problem === null ? 'passed' : 'FAILED'}  ${id} (${took})`);
  }
  return tally;
}

/** Null when it passed; otherwise why not, and the agent is ended so that the next case finds a fresh one. */
async function attempt(
  house: House,
  programs: Programs,
  run: Cases[string],
  timeout_ms: number,
): Promise<string | null> {
  const sample = (name: string): TesteeCommand => {
    const command = programs.samples?.[name];
    if (!command) throw new Error(`there is no sample ${name}`);
    return command;
  };
  const late = new AbortController();
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const reason = new Error(`not done within ${timeout_ms} ms`);
    late.abort(reason);
    // What waits for the signal says what it waited for; what does not is left behind.
    setTimeout(() => over.reject(reason), GRACE_MS);
  }, timeout_ms);
  try {
    await Promise.race([run?.({ house, sample, signal: late.signal }), over.promise]);
    return null;
  } catch (error) {
    const stderr = (house.latest?.stderr.trim() ?? '').split('\n').slice(-STDERR_LINES_MAX).join('\n');
    await house.endAgent(AbortSignal.timeout(timeout_ms));
    const shown = error instanceof Error ? error.message : String(error);
    return `${shown}${stderr === '' ? '' : `\nstderr of the agent ends with:\n${stderr}`}`.replaceAll('\n', '\n    ');
  } finally {
    clearTimeout(timer);
  }
}

const GRACE_MS = 500;
const STDERR_LINES_MAX = 12;
