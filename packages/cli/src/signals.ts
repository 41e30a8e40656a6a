// Ctrl-C, and its colder relatives.

import { note } from './output.ts';

/** Resolves with the first SIGINT or SIGTERM. A second one is somebody who does not want to wait. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        note('stopping …');
        for (const again of ['SIGINT', 'SIGTERM'] as const) process.once(again, () => process.exit(1));
        resolve(signal);
      });
    }
  });
}
