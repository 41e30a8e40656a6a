// parley simulator

import { readFileSync } from 'node:fs';
import { ParleyError } from '@parley/client';
import type { Command } from 'commander';
import { type GlobalOptions, integer } from '../context.ts';
import { note, write, writeJson } from '../output.ts';
import { untilSignal } from '../signals.ts';

interface SimulatorOptions extends GlobalOptions {
  port: string;
  script?: string;
  tls?: boolean;
  untilStdinEnds?: boolean;
}

export function simulator(program: Command): void {
  program
    .command('simulator')
    .description('run the model simulator alone: a realtime provider that needs no key and no network')
    .option('--port <port>', 'where to listen; 0 takes a free one', '0')
    .option('--script <file>', 'what it says and which tools it calls, as YAML or JSON')
    .option('--tls', 'also listen with TLS, for clients that insist on wss:')
    .option('--until-stdin-ends', 'end when stdin does, as it does when the program that began it is gone')
    .action(async (_options: SimulatorOptions, command: Command) => {
      const options = command.optsWithGlobals<SimulatorOptions>();
      const { parseScript, startSimulator } = await import('@parley/simulator');
      const running = await startSimulator({
        port: integer('--port', options.port, 0, 65_535),
        tlsPort: options.tls ? 0 : null,
        ...(options.script === undefined ? {} : { script: parseScript(read(options.script)) }),
      });
      const { url, wsUrl, tls } = running;
      if (options.json) await writeJson({ url, ws_url: wsUrl, ...(tls ? { tls } : {}) });
      else {
        await write(`${url}\n`);
        note(`websocket: ${wsUrl}`);
        if (tls) note(`with TLS: ${tls.url} (authority: parley simulator --tls --json prints it)`);
        note(`for a control plane: PARLEY_SIMULATOR_URL=${url}/v1 parley serve`);
      }
      await (options.untilStdinEnds ? Promise.race([untilSignal(), untilStdinEnds()]) : untilSignal());
      await running.close();
    });
}

async function untilStdinEnds(): Promise<void> {
  // What it says is nobody's: only its end counts, and a cut pipe is one too.
  await new Promise((resolve) => {
    process.stdin.once('close', resolve).once('error', resolve).resume();
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `the script ${path} cannot be read (${why})`, { cause });
  }
}
