// The process of Codex as a wire: messages go in, messages come out, and it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { LineReader } from './lines.ts';

/** What the rest of the adapter knows of the process. */
export interface Wire {
  readonly pid: number | undefined;
  /** One message, without the end of its line. Nothing happens on a wire that has ended. */
  send(message: string): void;
  /** Ends it: end of input, then SIGTERM, then SIGKILL. The first two let Codex end its tools. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Resolves when it has ended, with one sentence. */
  readonly ended: Promise<string>;
  /** The last lines that it wrote to stderr. */
  stderrTail(): string;
}

export interface WireOptions {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stopMs: number;
  readonly lineBytesMax: number;
  readonly onMessage: (line: string) => void;
  /** It cannot be understood any more. */
  readonly onBroken: (why: string) => void;
}

const STDERR_CHARS_MAX = 2000;

export function spawnWire(options: WireOptions): Wire {
  const child = spawn(options.path, options.args, {
    cwd: options.cwd,
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
  });
  const reader = new LineReader(options.lineBytesMax);
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = reader.push(chunk);
    if (lines === null) {
      child.stdout.removeAllListeners('data').resume();
      options.onBroken(`a message of Codex is longer than ${options.lineBytesMax} bytes`);
      return;
    }
    for (const line of lines) if (line !== '') options.onMessage(line);
  });
  const ended = endOf(child);
  // A write to a process that is gone fails; that it is gone is told by `ended`.
  child.stdin.on('error', () => undefined);

  let stopping: Promise<void> | null = null;
  return {
    pid: child.pid,
    send: (message) => {
      if (!child.stdin.writable) return;
      child.stdin.write(`${message}\n`);
    },
    stop: () => (stopping ??= stop(child, ended, options.stopMs)),
    ended,
    stderrTail: () => withoutColours(stderr).trim(),
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`Codex did not start: ${error.message}`));
    // Not `close`: a tool that was orphaned may hold the pipes for long.
    child.once('exit', (code, signal) => resolve(`Codex ended with ${signal ?? `exit code ${code}`}`));
  });
}

async function stop(child: ChildProcess, ended: Promise<string>, stopMs: number): Promise<void> {
  child.stdin?.end();
  if (await within(ended, stopMs)) return;
  child.kill('SIGTERM');
  if (await within(ended, stopMs)) return;
  child.kill('SIGKILL');
  await ended;
}

async function within(ended: Promise<string>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([ended.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function withoutColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences of a terminal begin with one.
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}
