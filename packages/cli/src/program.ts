// The command line as a whole: global options, help, and the list of commands.

import { DEFAULT_URL } from '@parley/client';
import { Command } from 'commander';
import { agents } from './commands/agents.ts';
import { doctor } from './commands/doctor.ts';
import { execute } from './commands/execute.ts';
import { providers } from './commands/providers.ts';
import { serve } from './commands/serve.ts';
import { session } from './commands/session.ts';
import { simulator } from './commands/simulator.ts';
import { turn } from './commands/turn.ts';
import { VERSION } from './context.ts';

const EXIT_CODES = `
Exit codes:
  0  done
  1  anything else: a function or a turn that failed, a check of doctor that failed
  2  bad input, or refused as such (HTTP 4xx)
  3  unreachable or not allowed (network, HTTP 401, 403, 5xx)

Answers go to stdout, progress and errors to stderr. With --json an answer is one line of JSON, a list or a stream
is one line for each entry, and an error is an error body on one line of stderr.`;

/** The program, ready to parse. */
export function createProgram(): Command {
  const program = new Command('parley')
    .description('The control plane for realtime AI sessions.')
    .version(VERSION)
    .option('--url <url>', `the control plane (PARLEY_URL; default ${DEFAULT_URL})`)
    .option('--key-file <path>', 'a file that holds the key (or the variable PARLEY_KEY)')
    .option('--key <key>', 'the key itself; seen by every user of the machine, so better not')
    .option('--timeout <seconds>', 'how long one request may take (default 30)')
    .option('--json', 'JSON on stdout, one line for each value')
    .addHelpText('after', EXIT_CODES)
    .showHelpAfterError('(parley --help shows what there is)')
    .exitOverride();
  serve(program);
  simulator(program);
  session(program);
  agents(program);
  execute(program);
  providers(program);
  turn(program);
  doctor(program);
  return program;
}
