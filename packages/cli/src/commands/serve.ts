// parley serve

import { ParleyError } from '@parley/client';
import type { Command } from 'commander';
import { type GlobalOptions, integer, keyOf } from '../context.ts';
import { note, write, writeJson } from '../output.ts';
import { untilSignal } from '../signals.ts';

interface ServeOptions extends GlobalOptions {
  host?: string;
  port?: string;
  data?: string;
  tlsCert?: string;
  tlsKey?: string;
  withSimulator?: boolean;
}

export function serve(program: Command): void {
  program
    .command('serve')
    .description('run a control plane; prints its address, and drains on Ctrl-C')
    .option('--host <address>', 'where to listen (PARLEY_HOST; default 127.0.0.1; others need a key)')
    .option('--port <port>', 'PARLEY_PORT; default 7700; 0 takes a free one')
    .option('--data <dir>', "directory of the database (PARLEY_DATA; default .parley), or ':memory:'")
    .option(
      '--tls-cert <file>',
      'PARLEY_TLS_CERT: certificate chain, PEM; then HTTPS and WSS are served, and nothing else',
    )
    .option('--tls-key <file>', 'PARLEY_TLS_KEY: its private key, PEM')
    .option('--with-simulator', 'also run the model simulator, as the provider `simulator`')
    .addHelpText(
      'after',
      '\nThe key that clients need is read from --key-file or PARLEY_KEY; provider keys from OPENAI_API_KEY …',
    )
    .action(async (_options: ServeOptions, command: Command) => {
      const options = command.optsWithGlobals<ServeOptions>();
      const { optionsFromEnv, startServer } = await import('@parley/server');
      const { tlsCert, tlsKey } = options;
      const settings = optionsFromEnv({
        ...process.env,
        ...(tlsCert === undefined ? {} : { PARLEY_TLS_CERT: tlsCert }),
        ...(tlsKey === undefined ? {} : { PARLEY_TLS_KEY: tlsKey }),
      });
      if (options.host !== undefined) settings.host = options.host;
      if (options.port !== undefined) settings.port = integer('--port', options.port, 0, 65_535);
      if (options.data !== undefined) settings.data = options.data;
      const key = keyOf(options);
      if (key !== undefined) settings.keys = [key];
      const simulator = options.withSimulator ? await startSimulator() : null;
      if (simulator) {
        const provider = { base_url: `${simulator.url}/v1`, key: 'simulator' };
        settings.providers = { ...settings.providers, simulator: provider };
        note(`simulator: ${simulator.url}`);
      }
      try {
        const server = await startServer(settings);
        await (options.json ? writeJson({ url: server.url }) : write(`${server.url}\n`));
        const failure = await Promise.race([untilSignal(), server.failed]);
        if (failure instanceof Error) note(`parley: the server cannot go on: ${failure.message}`);
        await server.close();
        if (failure instanceof Error) throw ParleyError.from(failure, 'internal');
      } finally {
        await simulator?.close();
      }
    });
}

async function startSimulator() {
  const simulator = await import('@parley/simulator');
  return simulator.startSimulator();
}
