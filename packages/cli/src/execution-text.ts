// An execution on stdout: its output, and an exit code that says whether it succeeded.

import type { ExecutionResource } from '@parley/core';
import { note, plain, write, writeJson } from './output.ts';

/** Prints the whole execution with `--json`, else its output. A failed one leaves exit code 1. */
export async function writeExecution(execution: ExecutionResource, json: boolean): Promise<void> {
  const { status, output, error, execution_id } = execution;
  if (json) await writeJson(execution);
  else if (output !== undefined) await write(`${JSON.stringify(output, null, process.stdout.isTTY ? 2 : 0)}\n`);
  else if (status === 'queued' || status === 'running') await write(`${execution_id}\n`);
  if (status === 'succeeded' || status === 'queued' || status === 'running') return;
  const why = error === undefined ? (execution.reason ?? '') : `${error.code}: ${error.message}`;
  note(plain(`parley: ${execution_id} ${status}${why ? `: ${why}` : ''}`));
  process.exitCode = 1;
}
