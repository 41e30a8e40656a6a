// Where the SDK says what it does. Never audio, transcripts, keys or tokens.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A logger of pino's shape in the other order: words first, then fields. */
export type Log = Record<LogLevel, (message: string, fields?: Record<string, unknown>) => void>;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * Writes one line of JSON to stderr for each entry at or above `level`.
 *
 * @example
 * const agent = new Agent('support', { log: stderrLog('debug') });
 */
export function stderrLog(level: LogLevel = 'info'): Log {
  const from = LEVELS.indexOf(level);
  const at =
    (name: LogLevel) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      if (LEVELS.indexOf(name) < from) return;
      process.stderr.write(`${JSON.stringify({ level: name, time: Date.now(), msg: message, ...fields })}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The same log with fields added to every entry. */
export function withFields(log: Log, fields: Record<string, unknown>): Log {
  const at =
    (name: LogLevel) =>
    (message: string, more: Record<string, unknown> = {}): void =>
      log[name](message, { ...fields, ...more });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
