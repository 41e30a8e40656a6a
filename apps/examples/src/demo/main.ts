// npm start: brings everything up, makes one spoken call, shows it, and stays. See --help.

import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParleyError } from '@parley/core';
import { converse } from './conversation.ts';
import { converseByTurn } from './turn.ts';
import { HELP, type Options, optionsOf } from './options.ts';
import { startParts } from './parts.ts';
import { Screen } from './screen.ts';
import { question, speechOf } from './spoken.ts';
import { converseOverWebRtc } from './webrtc.ts';

const TARGET = 'support.voice';

try {
  const options = optionsOf(process.argv.slice(2));
  if (options) await demonstrate(options);
  else process.stdout.write(HELP);
} catch (caught) {
  const { code, message } = ParleyError.from(caught, 'internal');
  process.stderr.write(`parley: ${code}: ${message}\n`);
  process.exitCode = code === 'invalid_argument' ? 2 : 1;
}
// Calls over WebRTC leave native threads that would keep the process; what was written goes out first.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));

async function demonstrate(options: Options): Promise<void> {
  const { once, json, agent, transport, provider, audio, port, data } = options;
  // With --json stdout is for the one line; people read stderr.
  const screen = new Screen(json ? process.stderr : process.stdout);
  const told = stopOnSignal(screen);
  const spoken = audio ? await speechOf(audio) : await question();
  screen.heading('Parley');
  // A single call must not stand in the way of a server that is up: its database is its own, and goes with it.
  const directory = once ? await mkdtemp(join(tmpdir(), 'parley-once-')) : data;
  try {
    await using parts = await startParts({
      port,
      data: directory,
      language: agent,
      transport,
      provider,
      progress: (line) => screen.line(`  ${line}`),
    });
    screen.heading(`A call to ${TARGET}`);
    const { client, server } = parts;
    const calls = join(data, 'calls');
    const talk = { audio_turns: converseByTurn, webrtc: converseOverWebRtc, websocket: converse }[transport];
    const { report, workflow } = await talk({
      client,
      url: server.url,
      target: TARGET,
      audio: spoken,
      directory: calls,
      listener: screen,
      signal: told.signal,
    });
    screen.workflow(workflow);
    screen.summary(report);
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
    if (once) return;
    screen.heading(`Talk page  ${server.url}/talk`);
    screen.line('  Ctrl-C stops everything.');
    await Promise.race([
      told.stopped,
      parts.broken.then((error) => {
        throw error;
      }),
    ]);
  } catch (error) {
    if (error !== told.signal.reason) throw error;
    // A call that was not made is not a success; a server that was asked to stop is.
    if (once) process.exitCode = 128 + constants.signals[told.name ?? 'SIGTERM'];
  } finally {
    if (once) await rm(directory, { recursive: true, force: true });
  }
  if (told.signal.aborted) screen.line('  stopped');
}

type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

interface Told {
  signal: AbortSignal;
  stopped: Promise<void>;
  name?: Signal;
}

/** The first signal stops the demonstration in good order, the second at once. */
function stopOnSignal(screen: Screen): Told {
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const told: Told = { signal: controller.signal, stopped: promise };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
      told.name = name;
      screen.line('\n  stopping …');
      controller.abort(new ParleyError('cancelled', `stopped by ${name}`));
      resolve();
    });
  }
  return told;
}
