// One testee: a child process that reads a request a line and writes an answer a line.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Longest answer that is read: one line of JSON. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export interface TesteeCommand {
  command: string;
  args: string[];
  cwd?: string;
  /** A program that must be on PATH; where it is not, the language is skipped with that reason. */
  needs?: string;
  /** Arguments of `needs` that make the command out of its source, in `cwd`. */
  build?: string[];
}

/** What came of a request: an answer, or why there is none. */
export type Outcome = { answer: Record<string, unknown> } | { failure: string };

export class Testee {
  readonly #command: TesteeCommand;
  readonly #timeout_ms: number;
  #child: ChildProcess | null = null;
  #waiting: { id: number; resolve: (outcome: Outcome) => void } | null = null;
  #last = 0;

  constructor(command: TesteeCommand, options: { timeout_ms: number }) {
    this.#command = command;
    this.#timeout_ms = options.timeout_ms;
  }

  /** Asks one thing. A testee that crashed, hung or spoke rubbish is started anew for the next. */
  async ask(op: string, input: string): Promise<Outcome> {
    const id = ++this.#last;
    const child = (this.#child ??= this.#start());
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#waiting = { id, resolve };
    const timer = setTimeout(() => this.#fail(child, `no answer within ${this.#timeout_ms} ms`), this.#timeout_ms);
    child.stdin?.write(`{"id":${id},"op":${JSON.stringify(op)},"input":${input}}\n`);
    const outcome = await promise;
    clearTimeout(timer);
    return outcome;
  }

  /** Ends the testee and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('close', resolve));
    this.#child = null;
    child.stdin?.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await gone;
    clearTimeout(timer);
  }

  #start(): ChildProcess {
    const { command, args, cwd } = this.#command;
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...(cwd === undefined ? {} : { cwd }) });
    child.on('error', (error) => this.#fail(child, `the testee did not start: ${error.message}`));
    child.on('close', (code, signal) => this.#fail(child, `the testee ended with ${signal ?? code}`));
    // A write to a testee that just died: its end is told by 'close'.
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(child, line));
    return child;
  }

  #read(child: ChildProcess, line: string): void {
    if (child !== this.#child) return;
    const waiting = this.#waiting;
    const answer = line.length <= ANSWER_BYTES_MAX ? parse(line) : null;
    if (!waiting || answer === null || answer['id'] !== waiting.id) {
      return this.#fail(child, `expected one line of JSON with id ${waiting?.id ?? 'none'}, got ${line.slice(0, 200)}`);
    }
    this.#waiting = null;
    const { id: _, ...rest } = answer;
    waiting.resolve({ answer: rest });
  }

  #fail(child: ChildProcess, failure: string): void {
    if (child !== this.#child) return;
    this.#child = null;
    child.kill('SIGKILL');
    this.#waiting?.resolve({ failure });
    this.#waiting = null;
  }
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
