// The command line of a runner: `run` and `serve`.

import { ParleyError } from '@parley/core';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type LogLevel, stderrLog } from '../log.ts';
import type { RunOptions } from './run-options.ts';
import type { Runner, RunnerServe } from './runner.ts';

/** The names of options that Commander makes of the flags. */
interface RunFlags {
  callType: string;
  callId?: string;
  debug?: boolean;
  logLevel?: LogLevel;
  demo: boolean;
  provider: string;
  record?: string | true;
  audio?: string;
  text?: boolean;
  input?: unknown;
}

/** How long what was given up may still take, once all sessions have ended. */
const LINGER_MS = 1_000;

const levels = (): Option =>
  new Option('--log-level <level>', 'what is logged on stderr').choices(['debug', 'info', 'warn', 'error']);

export async function runCli(runner: Runner, argv: readonly string[]): Promise<void> {
  const program = new Command('agent')
    .description('Run this agent: one call at the terminal, or many over HTTP.')
    .exitOverride()
    .configureHelp({ sortSubcommands: false });
  program
    .command('run')
    .description('hold one call at this terminal, with microphone and speaker, or in writing')
    .option('--call-type <type>', 'kind of call; the session of that name, where there is one', 'default')
    .option('--call-id <id>', 'the call; default: a new one')
    .option('--provider <name>', "who runs the model; `declared` is the session's own", 'simulator')
    .option('--text', 'typed lines only')
    .option('--audio <file>', 'say what is in this WAV file')
    .option('--record [folder]', 'keep the sound and the log of the call (default folder: recordings)')
    .option('--input <json>', 'input for the agent', json)
    .option('--no-demo', 'let the agent join alone, without this terminal as its user')
    .option('--debug', 'show every entry of the log')
    .addOption(levels())
    .action((flags: RunFlags) => run(runner, flags));
  program
    .command('serve')
    .description('start agents over HTTP')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .addOption(
      new Option('--port <port>', 'where to listen; 0 takes a free one')
        .env('PARLEY_SERVE_PORT')
        .argParser(port)
        .default(8000),
    )
    .option('--control-plane <url>', 'register with this control plane too; default: PARLEY_URL')
    .option('--debug', 'log from debug')
    .addOption(levels())
    .action((flags: RunnerServe & { debug?: boolean; logLevel?: LogLevel }) => serve(runner, flags));
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? 0 : 2;
      return;
    }
    const { code, message } = ParleyError.from(thrown);
    process.stderr.write(`agent: ${code}: ${message}\n`);
    process.exitCode = 1;
  }
}

async function run(runner: Runner, flags: RunFlags): Promise<void> {
  const { demo, record, ...rest } = flags;
  const stop = new AbortController();
  const leave = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, leave);
  try {
    const options: RunOptions = {
      ...rest,
      noDemo: !demo,
      record: record === true ? 'recordings' : record,
      signal: stop.signal,
    };
    const reason = await runner.run(options);
    process.stdout.write(`the call ended: ${reason}\n`);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, leave);
  }
}

async function serve(
  runner: Runner,
  { debug, logLevel, ...rest }: RunnerServe & { debug?: boolean; logLevel?: LogLevel },
) {
  runner.launcher.logTo(stderrLog(debug ? 'debug' : (logLevel ?? 'info')));
  await runner.serve({ ...rest, onListening: (url) => process.stdout.write(`${url}\n`) });
  const { totalAbandoned, warmedUp } = runner.launcher.status;
  if (totalAbandoned === 0 && warmedUp) return;
  // What was given up may hold a socket or a timer for ever; who was told to leave must be able to.
  setTimeout(() => {
    runner.launcher.settings.log.warn('what was given up holds the process; it is ended');
    process.exit();
  }, LINGER_MS).unref();
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new InvalidArgumentError('It must be JSON.');
  }
}

function port(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new InvalidArgumentError('It must be a whole number from 0 to 65535.');
}
