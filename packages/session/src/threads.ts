// Functions that run in worker threads: work that blocks holds up neither the link nor another function.
//
// P1  A thread runs one execution at a time, so what ends a thread ends that execution and no other.
// P2  At most `threadsMax` threads work; one whose function waits for a call of its own is not counted, because what it
//     waits for may need a thread.
// P3  A function that was told to stop has `cancelMs` to do so, and then its thread is terminated.

import { type ErrorObject, ParleyError } from '@parley/core';
import type { Clock } from '@parley/transport';
import { Worker } from 'node:worker_threads';
import type { Context } from './context.ts';
import { type Log, withFields } from './log.ts';
import type { Numbered, ThreadOrder, ThreadReport } from './thread-messages.ts';

export interface ThreadLimits {
  threadsMax: number;
  /** Of JavaScript objects in one thread. */
  threadHeapMb: number;
  cancelMs: number;
}

/** What is to be run in a thread. */
export interface ThreadTask {
  module: URL;
  name: string;
  input: unknown;
  context: Context;
}

/** A task that was taken on. */
interface Job {
  readonly number: number;
  readonly task: ThreadTask;
  readonly resolve: (output: unknown) => void;
  readonly reject: (error: ParleyError) => void;
  /** Calls of other functions that it waits for, by their numbers in the thread. */
  readonly calls: Map<number, AbortController>;
  thread: Thread | null;
  grace: { cancel(): void } | null;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
}

// Beside this file: TypeScript where this is, as Node runs it, and JavaScript once it was built.
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export class Threads {
  readonly #limits: ThreadLimits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();
  readonly #waiting = new Set<Job>();
  #jobs = 0;
  /** Threads that work, those that only wait for a call left out. */
  #busy = 0;
  #closed = false;

  constructor(limits: ThreadLimits, clock: Clock, log: Log) {
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
  }

  /** Threads that exist. They are started when they are needed, and then kept. */
  get size(): number {
    return this.#all.size;
  }

  /**
   * Runs a function in a thread of its own. It waits where all threads work.
   * @throws ParleyError what the function threw; the reason of the context's signal when the function did not stop by
   * itself; `internal` when the thread ended under it; `invalid_argument` for an input that cannot be cloned.
   */
  async run(task: ThreadTask): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const job: Job = { number: ++this.#jobs, task, resolve, reject, calls: new Map(), thread: null, grace: null };
    const { signal } = task.context;
    const abort = (): void => this.#abort(job);
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.add(job);
    this.#startNext();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', abort);
      job.grace?.cancel();
    }
  }

  /** Ends every thread, and what runs in it. */
  close(): void {
    this.#closed = true;
    for (const { worker } of this.#all) void worker.terminate();
  }

  #startNext(): void {
    for (const job of this.#waiting) {
      if (this.#busy >= this.#limits.threadsMax) return;
      this.#waiting.delete(job);
      if (this.#closed) {
        job.reject(new ParleyError('unavailable', 'the agent has stopped', { retryable: false }));
        continue;
      }
      this.#start(job, this.#idle.pop() ?? this.#open());
    }
  }

  #start(job: Job, thread: Thread): void {
    const { module, name, input, context } = job.task;
    const { executionId, workflowId, sessionId, parentExecutionId } = context;
    job.thread = thread;
    thread.job = job;
    this.#busy += 1;
    const ids = { executionId, workflowId, sessionId, parentExecutionId };
    try {
      this.#order(job, { type: 'run', module: module.href, name, input, ...ids });
    } catch (error) {
      const message = `the input of ${name} cannot be given to a thread: ${(error as Error).message}`;
      this.#leave(thread);
      job.reject(new ParleyError('invalid_argument', message, { cause: error }));
    }
  }

  #open(): Thread {
    const worker = new Worker(ENTRY, {
      name: 'parley function',
      // What the program was started with (inspectors, loaders of tests) is not meant for its threads.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.#limits.threadHeapMb },
    });
    const thread: Thread = { worker, job: null };
    this.#all.add(thread);
    // The link keeps the process alive for as long as there is work.
    worker.unref();
    worker.on('message', (report: Numbered<ThreadReport>) => this.#report(thread, report));
    worker.on('messageerror', (error) => this.#lost(thread, `said what cannot be read: ${error.message}`));
    worker.on('error', (error) =>
      this.#lost(thread, `ended: ${error instanceof Error ? error.message : String(error)}`),
    );
    worker.on('exit', (code) => this.#lost(thread, `ended with code ${code} before it answered`));
    return thread;
  }

  #report(thread: Thread, { run, ...report }: Numbered<ThreadReport>): void {
    const { job } = thread;
    // What a run that is over still says is nobody's.
    if (job?.number !== run) return;
    const { context, name } = job.task;
    switch (report.type) {
      case 'done':
        this.#leave(thread);
        return job.resolve(report.output);
      case 'failed': {
        this.#leave(thread);
        const error = ParleyError.from(report.error);
        if (report.stack !== undefined) error.stack = report.stack;
        return job.reject(error);
      }
      case 'note':
        return context.note(report.text, report.data);
      case 'call':
        return void this.#call(job, report.call, report.target, report.input);
      case 'cancel':
        return job.calls.get(report.call)?.abort(ParleyError.from(report.error));
      case 'log':
        return withFields(context.log, { thread: name })[report.level](report.message, report.fields);
    }
  }

  /** Performs a call of the function; its place is another's meanwhile (P2). */
  async #call(job: Job, call: number, target: string, input: unknown): Promise<void> {
    const abort = new AbortController();
    job.calls.set(call, abort);
    if (job.calls.size === 1) {
      this.#busy -= 1;
      this.#startNext();
    }
    let answer: ThreadOrder;
    try {
      answer = { type: 'reply', call, output: await job.task.context.call(target, input, { signal: abort.signal }) };
    } catch (error) {
      answer = { type: 'refused', call, error: ParleyError.from(error).toObject() };
    }
    // A run that is over gave all of its calls back.
    if (!job.calls.delete(call)) return;
    if (job.calls.size === 0) this.#busy += 1;
    this.#order(job, answer);
  }

  #abort(job: Job): void {
    const reason = ParleyError.from(job.task.context.signal.reason, 'cancelled');
    if (this.#waiting.delete(job)) return job.reject(reason);
    const { thread } = job;
    if (!thread) return;
    this.#order(job, { type: 'abort', error: plain(reason) });
    job.grace = this.#clock.after(this.#limits.cancelMs, () => {
      if (thread.job !== job) return;
      this.#log.warn('a function did not stop, and its thread was terminated', { function: job.task.name });
      this.#drop(thread);
      void thread.worker.terminate();
      job.reject(reason);
    });
  }

  #order(job: Job, order: ThreadOrder): void {
    job.thread?.worker.postMessage({ ...order, run: job.number } satisfies Numbered<ThreadOrder>);
  }

  /** The run is over; the thread is free for the next. */
  #leave(thread: Thread): void {
    this.#release(thread);
    this.#idle.push(thread);
    this.#startNext();
  }

  /** The thread is over. */
  #drop(thread: Thread): void {
    this.#all.delete(thread);
    const idle = this.#idle.indexOf(thread);
    if (idle >= 0) this.#idle.splice(idle, 1);
    this.#release(thread);
    this.#startNext();
  }

  #release(thread: Thread): void {
    const { job } = thread;
    if (!job) return;
    thread.job = null;
    job.thread = null;
    if (job.calls.size === 0) this.#busy -= 1;
    // Calls that the function did not wait for have no caller any more.
    for (const abort of job.calls.values()) abort.abort();
    job.calls.clear();
  }

  #lost(thread: Thread, how: string): void {
    if (!this.#all.has(thread)) return;
    const { job } = thread;
    this.#drop(thread);
    void thread.worker.terminate();
    if (this.#closed && job)
      return job.reject(new ParleyError('unavailable', 'the agent has stopped', { retryable: false }));
    // In a thread that ran nothing it was something that an earlier function left behind.
    this.#log[job ? 'info' : 'warn']('a thread was lost', { function: job?.task.name, how });
    job?.reject(new ParleyError('internal', `the thread of ${job.task.name} ${how}`));
  }
}

/** Details of an error may hold what cannot be cloned; its words always can. */
function plain(error: ParleyError): ErrorObject {
  const { details: _, ...rest } = error.toObject();
  return rest;
}
