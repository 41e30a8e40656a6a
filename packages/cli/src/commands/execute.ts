// parley execute TARGET

import { randomUUID } from 'node:crypto';
import type { ExecutionResource } from '@parley/core';
import type { Command } from 'commander';
import { contextOf, seconds } from '../context.ts';
import { writeExecution } from '../execution-text.ts';
import { readInput } from '../input.ts';
import { write, writeJson } from '../output.ts';

interface ExecuteOptions {
  in?: string;
  async?: boolean;
  limit?: string;
  session?: string;
  idempotencyKey?: string;
}

export function execute(program: Command): void {
  program
    .command('execute <target>')
    .description('run a function (agent.function); prints its output, or with --json the whole execution')
    .option('--in <json>', 'input: inline JSON, @file, or - for stdin (read by itself when it is piped)')
    .option('--async', 'only queue it, and print its id')
    .option('--limit <seconds>', 'how long it may work')
    .option('--session <id>', 'run it as a part of this session')
    .option('--idempotency-key <key>', 'the same key twice is one execution; a random one otherwise')
    .addHelpText('after', `\nExample:\n  parley execute support.lookup_order --in '{"order":"42"}'\n`)
    .action(async (target: string, options: ExecuteOptions, command: Command) => {
      const { client, json } = contextOf(command);
      const input = await readInput(options.in);
      const call = {
        idempotencyKey: options.idempotencyKey ?? randomUUID(),
        sessionId: options.session,
        timeoutMs: options.limit === undefined ? undefined : Math.round(seconds('--limit', options.limit) * 1000),
      };
      if (options.async) {
        const queued = await client.executions.executeAsync(target, input, call);
        return json ? writeJson(queued) : write(`${queued.execution_id}\n`);
      }
      const execution: ExecutionResource = await client.executions.execute(target, input, call);
      await writeExecution(execution, json);
    });
}
