// Runs the steps of a check side by side: one line a step as it ends, the whole output of those that failed, and a sum.
import { type Totals } from './totals.ts';
import type { Ended } from './workspace.ts';

export interface Step {
  readonly name: string;
  readonly run: () => Promise<Ended>;
}

/** The result of a step that found these faults; it passed when there are none. */
export function faults(found: readonly string[]): Ended {
  return { code: found.length > 0 ? 1 : 0, output: found.map((line) => `${line}\n`).join('') };
}

/** The steps one after another as one: it ends at the first that fails. */
export async function inTurn(...commands: ReadonlyArray<() => Promise<Ended>>): Promise<Ended> {
  for (const command of commands) {
    const ended = await command();
    if (ended.code !== 0) return ended;
  }
  return { code: 0, output: '' };
}

/**
 * Runs all steps, `parallel` at a time (2: a check should leave the machine usable), and prints what became of them.
 * A step that throws has failed, with the error as its output.
 */
export async function runSteps(steps: readonly Step[], parallel = 2): Promise<Totals> {
  const waiting = [...steps];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const started = performance.now();
      const { code, output } = await step.run().catch(asFailure);
      const seconds = ((performance.now() - started) / 1_000).toFixed(1);
      process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'} ${step.name} (${seconds} s)\n`);
      if (code === 0) continue;
      failed.push(step.name);
      process.stdout.write(`${output.trimEnd().replaceAll(/^/gm, '       ')}\n`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  if (failed.length > 0) process.stdout.write(`\nfailed: ${failed.join(', ')}\n`);
  return { passed: steps.length - failed.length, failed: failed.length, skipped: [] };
}

function asFailure(error: unknown): Ended {
  return { code: 1, output: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
