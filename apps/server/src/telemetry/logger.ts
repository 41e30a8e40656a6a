// One logger. No line holds audio, transcripts, keys or tokens.

import { type Logger, pino } from 'pino';

export type { Logger };

export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: {
        paths: ['key', 'token', 'authorization', '*.key', '*.token', '*.authorization', 'headers'],
        remove: true,
      },
    },
    // stderr: stdout belongs to whoever started us.
    pino.destination({ dest: 2, sync: false }),
  );
}
