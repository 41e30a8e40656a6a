// Inside a worker thread: loads the author's module, and runs its function once for each order.

import { parentPort } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { Call, CallOptions, Context } from './context.ts';
import type { FunctionBody, FunctionRef } from './functions.ts';
import { payloadText } from './json.ts';
import type { Log, LogLevel } from './log.ts';
import type { Numbered, ThreadOrder, ThreadReport, ThreadRun } from './thread-messages.ts';

type Waiting = { resolve: (output: unknown) => void; reject: (error: ParleyError) => void };

/** The run that this thread does; a thread does one at a time. */
class Run {
  readonly abort = new AbortController();
  readonly #number: number;
  readonly #order: ThreadRun;
  readonly #calls = new Map<number, Waiting>();
  #called = 0;

  constructor(number: number, order: ThreadRun) {
    this.#number = number;
    this.#order = order;
  }

  async perform(): Promise<void> {
    try {
      const body = await bodyOf(this.#order);
      const output = await body(this.#order.input, this.#context());
      this.#tell({ type: 'done', output });
    } catch (error) {
      const stack = error instanceof Error ? error.stack : undefined;
      this.#tell({ type: 'failed', error: ParleyError.from(error).toObject(), stack });
    }
  }

  settle(call: number, how: (waiting: Waiting) => void): void {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (waiting) how(waiting);
  }

  #tell(report: ThreadReport): void {
    parentPort?.postMessage({ ...report, run: this.#number } satisfies Numbered<ThreadReport>);
  }

  #context(): Context {
    const { executionId, workflowId, sessionId, parentExecutionId } = this.#order;
    const at =
      (level: LogLevel) =>
      (message: string, fields?: Record<string, unknown>): void =>
        this.#tell({ type: 'log', level, message, fields });
    const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    return {
      executionId,
      workflowId,
      sessionId,
      parentExecutionId,
      signal: this.abort.signal,
      // One function answers both signatures of Call: a reference is a target with types.
      call: ((target: string | FunctionRef, input?: unknown, options?: CallOptions) =>
        this.#call(typeof target === 'string' ? target : target.target, input, options)) as Call,
      note: (text, data) => {
        payloadText(data, 'the data of a note', 'invalid_argument');
        this.#tell({ type: 'note', text, data });
      },
      log,
    };
  }

  async #call(target: string, input: unknown, { signal }: CallOptions = {}): Promise<unknown> {
    if (signal?.aborted) throw ParleyError.from(signal.reason, 'cancelled');
    payloadText(input, `the input of ${target}`, 'invalid_argument');
    const call = ++this.#called;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#calls.set(call, { resolve, reject });
    this.#tell({ type: 'call', call, target, input });
    const cancel = (): void => {
      const reason = ParleyError.from(signal?.reason, 'cancelled');
      this.#tell({ type: 'cancel', call, error: reason.toObject() });
      this.settle(call, (waiting) => waiting.reject(reason));
    };
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }
}

async function bodyOf({ module, name }: ThreadRun): Promise<FunctionBody> {
  const loaded = (await import(module)) as Record<string, unknown>;
  const body = Object.hasOwn(loaded, name) ? loaded[name] : loaded['default'];
  if (typeof body === 'function') return body as FunctionBody;
  throw new ParleyError(
    'failed_precondition',
    `the worker of '${name}' exports no function '${name}' and no default one`,
  );
}

let current: { number: number; run: Run } | null = null;

parentPort?.on('message', ({ run, ...order }: Numbered<ThreadOrder>) => {
  if (order.type === 'run') {
    current = { number: run, run: new Run(run, order) };
    void current.run.perform();
    return;
  }
  if (current?.number !== run) return;
  switch (order.type) {
    case 'abort':
      return current.run.abort.abort(ParleyError.from(order.error));
    case 'reply':
      return current.run.settle(order.call, ({ resolve }) => resolve(order.output));
    case 'refused':
      return current.run.settle(order.call, ({ reject }) => reject(ParleyError.from(order.error)));
  }
});
