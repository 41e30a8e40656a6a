// A thread or a process that sessions are run in, one each, and what is heard of it.

import { type ChildProcess, fork } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { IsolateOrder, IsolateReport } from './isolate-messages.ts';
import { ISOLATED } from './isolated.ts';

export interface Hearing {
  readonly report: (report: IsolateReport) => void;
  readonly gone: (error: ParleyError) => void;
}

interface Place {
  post(order: IsolateOrder): void;
  kill(): void;
}

// Beside this file: TypeScript where this is, as Node runs it, and JavaScript once it was built.
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './isolate.ts' : './isolate.js', import.meta.url);

export class IsolatedPlace {
  readonly #place: Place;
  #hearing: Hearing;
  #gone: ParleyError | null = null;

  constructor(kind: 'worker' | 'process', heapMb: number, hearing: Hearing) {
    this.#hearing = hearing;
    const own: Hearing = {
      report: (report) => this.#hearing.report(report),
      gone: (error) => {
        this.#gone ??= error;
        this.#hearing.gone(error);
      },
    };
    this.#place = kind === 'worker' ? thread(heapMb, own) : processOf(heapMb, own);
  }

  /** Somebody else is told from here on: it was made before there was a session for it. */
  handTo(hearing: Hearing): void {
    this.#hearing = hearing;
    if (this.#gone) hearing.gone(this.#gone);
  }

  post(order: IsolateOrder): void {
    this.#place.post(order);
  }

  kill(): void {
    this.#place.kill();
  }
}

/** The flags of this program, without those that say what it runs. */
const FLAGS = process.execArgv.filter((flag, at, all) => {
  // What follows these is a program of its own.
  const evaluates = (one = ''): boolean => /^(?:-p?e|-p|--eval|--print)$/.test(one);
  return !evaluates(flag) && !evaluates(all[at - 1]) && !/^--(?:input-type|inspect|eval|print)/.test(flag);
});

function thread(heapMb: number, { report, gone }: Hearing): Place {
  const worker = new Worker(ENTRY, {
    workerData: { [ISOLATED]: true },
    execArgv: FLAGS,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
    stdout: true,
  });
  // As of a process: what a session prints is not the launcher's answer.
  worker.stdout.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  worker.on('message', report);
  worker.on('error', (error) => gone(crashed('thread', error)));
  worker.on('exit', (code) => gone(crashed('thread', new Error(`it ended with ${code}`))));
  return { post: (order) => worker.postMessage(order), kill: () => void worker.terminate() };
}

function processOf(heapMb: number, { report, gone }: Hearing): Place {
  const child: ChildProcess = fork(ENTRY, [], {
    env: { ...process.env, [ISOLATED]: '1' },
    execArgv: [...FLAGS, `--max-old-space-size=${heapMb}`],
    serialization: 'advanced',
    // What a session prints is not the launcher's answer: it goes to stderr.
    stdio: ['ignore', 2, 'inherit', 'ipc'],
  });
  child.on('message', (message) => report(message as IsolateReport));
  child.on('error', (error) => gone(crashed('process', error)));
  child.on('exit', (code, signal) => gone(crashed('process', new Error(`it ended with ${signal ?? code}`))));
  return {
    post: (order) => {
      // A process that is going is heard of by its exit.
      if (child.connected) child.send(order, () => undefined);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function crashed(where: string, error: Error): ParleyError {
  return new ParleyError('internal', `the ${where} of this session crashed: ${error.message}`, { cause: error });
}
