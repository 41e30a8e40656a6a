// npm start: brings everything up, makes one spoken call, shows it, and stays. See --help.

import { readFile, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ParleyError } from '@parley/core';
import { DEFAULT_PORT } from '@parley/server';
import { encodeSpeech, readWav, resample } from '@parley/simulator/speech';
import { converse, SAMPLE_RATE } from './conversation.ts';
import { startParts } from './parts.ts';
import { Screen } from './screen.ts';

const HELP = `npm start [-- OPTIONS]
  --once           make one call, then stop everything
  --json           with --once: print one line of JSON on stdout
  --audio FILE     say this WAV instead of the built-in question
  --port NUMBER    of the control plane (default ${DEFAULT_PORT}; with --once any free one)
  --data DIR       of the database (default .parley)
`;
const QUESTION = 'Where is order 42?';
const TARGET = 'support.voice';

interface Options {
  once: boolean;
  json: boolean;
  audio: string | undefined;
  port: number;
  data: string;
}

try {
  const options = optionsOf(process.argv.slice(2));
  if (options) await demonstrate(options);
} catch (caught) {
  const { code, message } = ParleyError.from(caught, 'internal');
  process.stderr.write(`parley: ${code}: ${message}\n`);
  process.exitCode = code === 'invalid_argument' ? 2 : 1;
}

function optionsOf(args: string[]): Options | null {
  let values: { once?: boolean; json?: boolean; audio?: string; port?: string; data?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        once: { type: 'boolean' },
        json: { type: 'boolean' },
        audio: { type: 'string' },
        port: { type: 'string' },
        data: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new ParleyError('invalid_argument', `${(error as Error).message}\n${HELP}`);
  }
  if (values.help) {
    process.stdout.write(HELP);
    return null;
  }
  const once = values.once ?? false;
  const json = values.json ?? false;
  if (json && !once) throw new ParleyError('invalid_argument', '--json goes with --once');
  const port = values.port === undefined ? (once ? 0 : DEFAULT_PORT) : Number(values.port);
  return { once, json, audio: values.audio, port, data: values.data ?? '.parley' };
}

async function demonstrate({ once, json, audio, port, data }: Options): Promise<void> {
  // With --json stdout is for the one line; people read stderr.
  const screen = new Screen(json ? process.stderr : process.stdout);
  const spoken =
    audio === undefined ? await encodeSpeech(QUESTION, { sampleRate: SAMPLE_RATE }) : await fromFile(audio);
  screen.heading('Parley');
  // A single call must not stand in the way of a server that is up: it gets a database of its own beside.
  const directory = once ? `${data}/once-${process.pid}` : data;
  const parts = await startParts({ port, data: directory, progress: (line) => screen.line(`  ${line}`) });
  const stopped = stopOnSignal(parts.stop, screen);
  try {
    screen.heading(`A call to ${TARGET}`);
    const calls = resolve(data, 'calls');
    const { report, workflow } = await Promise.race([
      converse(parts.client, parts.server.url, TARGET, spoken, calls, screen),
      stopped.then(() => Promise.reject(new ParleyError('cancelled', 'stopped'))),
    ]);
    screen.workflow(workflow);
    screen.line(`\n  heard ${report.user_audio_ms} ms, answered ${report.reply_audio_ms} ms: ${report.reply_wav}`);
    if (once) {
      if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
      return;
    }
    screen.heading(`Talk page  ${parts.server.url}/talk`);
    screen.line('  Ctrl-C stops everything.');
    await stopped;
  } catch (error) {
    if (!(error instanceof ParleyError && error.code === 'cancelled')) throw error;
    await stopped;
  } finally {
    await parts.stop();
    if (once) await rm(directory, { recursive: true, force: true });
  }
}

async function fromFile(path: string): Promise<Int16Array> {
  // npm runs us in the workspace; the file was named from where the person stands.
  const file = resolve(process.env['INIT_CWD'] ?? process.cwd(), path);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new ParleyError('invalid_argument', `cannot read ${path}: ${error.code ?? error.message}`);
  });
  const { samples, sampleRate } = readWav(bytes);
  return resample(samples, sampleRate, SAMPLE_RATE);
}

function stopOnSignal(stop: () => Promise<void>, screen: Screen): Promise<void> {
  return new Promise((resolved, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        screen.line('\n  stopping …');
        stop().then(() => {
          screen.line('  stopped');
          resolved();
        }, reject);
      });
    }
  });
}
