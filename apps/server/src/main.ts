#!/usr/bin/env node
// A control plane from the environment. `parley serve` is the same with flags.

import { ParleyError } from '@parley/core';
import { optionsFromEnv } from './config.ts';
import { startServer } from './server.ts';

try {
  const server = await startServer(optionsFromEnv(process.env));
  process.stdout.write(`${server.url}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      // A second signal is somebody who does not want to wait.
      process.once(signal, () => process.exit(1));
      server.close().then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
    });
  }
  void server.failed.then(fail);
} catch (error) {
  fail(error);
}

function fail(error: unknown): never {
  const { code, message } = ParleyError.from(error, 'internal');
  process.stderr.write(`parley: ${code}: ${message}\n`);
  process.exit(1);
}
