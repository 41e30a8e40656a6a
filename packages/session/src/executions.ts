// The functions that run here.
//
// P1  An execution id is run once, however often it is dispatched.
// P2  Every accepted execution ends with one result, and the result is kept until the server has it.
// P3  At most `runningMax` bodies run; a body that ignores its signal holds its place until it returns. One that waits
//     for a function that it called holds none: what it waits for may need that place.

import { type ErrorObject, ParleyError, type ServerFrameOf } from '@parley/core';
import type { Clock, LinkConnection } from '@parley/transport';
import type { Context } from './context.ts';
import type { FunctionDefinition } from './functions.ts';
import { payloadText } from './json.ts';
import type { Log } from './log.ts';
import type { Results } from './results.ts';
import type { Threads } from './threads.ts';

export interface ExecutionLimits {
  runningMax: number;
  waitingMax: number;
  /** How long a body that was cancelled may take to end by itself. */
  cancelMs: number;
}

type Dispatch = ServerFrameOf<'execution.dispatch'>;

/** An execution that has no result yet. */
export interface Execution {
  readonly dispatch: Dispatch;
  readonly over: LinkConnection;
  readonly abort: AbortController;
  /** The timeout, and after an abort the time left to end by itself. */
  timer: { cancel(): void } | null;
  /** Calls of other functions that it waits for. */
  calls: number;
}

export interface ExecutionPorts {
  functions: ReadonlyMap<string, FunctionDefinition>;
  /** Where functions run whose bodies are modules. */
  threads: Threads;
  results: Results;
  contextOf(execution: Execution): Context;
  accepted(execution: Execution): void;
  /** Something ended. */
  changed(): void;
  clock: Clock;
  log: Log;
}

// One for all: an error costs its stack, and every execution ends.
const ENDED = new ParleyError('cancelled', 'the execution has ended');

/** Ids that were settled lately: a late duplicate of them is known for what it is. */
const SETTLED_MAX = 4096;

export class Executions {
  readonly #ports: ExecutionPorts;
  readonly #limits: ExecutionLimits;
  readonly #open = new Map<string, Execution>();
  readonly #waiting = new Set<Execution>();
  readonly #bodies = new Map<string, number>();
  readonly #settled = new Set<string>();
  /** Bodies that hold a place. */
  #running = 0;

  constructor(ports: ExecutionPorts, limits: ExecutionLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  /** Executions without a result. */
  get size(): number {
    return this.#open.size;
  }

  uses(connection: LinkConnection): boolean {
    return [...this.#open.values()].some((execution) => execution.over === connection);
  }

  /** Everything that the server may ask about after a cut. */
  inFlight(): string[] {
    return [...this.#open.keys(), ...this.#ports.results.ids()];
  }

  dispatch(dispatch: Dispatch, over: LinkConnection): void {
    const id = dispatch.execution_id;
    const known = this.#open.get(id);
    if (known) return this.#ports.accepted(known);
    if (this.#ports.results.has(id)) return this.#ports.results.repeat(id);
    if (this.#settled.has(id)) {
      this.#ports.log.warn('an execution that was settled was dispatched again', { execution_id: id });
      return;
    }
    const execution: Execution = { dispatch, over, abort: new AbortController(), timer: null, calls: 0 };
    const definition = this.#ports.functions.get(dispatch.function);
    if (!definition) {
      return this.#refuse(execution, new ParleyError('not_found', `this agent has no function '${dispatch.function}'`));
    }
    if (this.#waiting.size >= this.#limits.waitingMax) {
      const full = new ParleyError('resource_exhausted', `${this.#waiting.size} executions already wait in this agent`);
      return this.#refuse(execution, full);
    }
    this.#open.set(id, execution);
    this.#ports.accepted(execution);
    execution.timer = this.#ports.clock.after(dispatch.timeout_ms, () => {
      const message = `${dispatch.function} did not end within ${dispatch.timeout_ms} ms`;
      this.#abort(execution, new ParleyError('deadline_exceeded', message));
    });
    this.#waiting.add(execution);
    this.#startNext();
  }

  cancel(execution_id: string, reason: string): void {
    const execution = this.#open.get(execution_id);
    if (execution) this.#abort(execution, new ParleyError('cancelled', reason));
  }

  settled(execution_id: string): void {
    this.#ports.results.settled(execution_id);
    this.#settled.add(execution_id);
    if (this.#settled.size > SETTLED_MAX) {
      for (const oldest of this.#settled) {
        this.#settled.delete(oldest);
        break;
      }
    }
    this.#ports.changed();
  }

  /** After a cut: what the server does not want is stopped or forgotten. Executions of other live links are left. */
  resumed(wanted: ReadonlySet<string>): void {
    for (const [id, execution] of this.#open) {
      if (wanted.has(id)) this.#ports.accepted(execution);
      else if (!execution.over.up) this.cancel(id, 'the control plane no longer wants it');
    }
    this.#ports.results.resumed(wanted);
  }

  cancelAll(reason: ParleyError): void {
    for (const execution of this.#open.values()) this.#abort(execution, reason);
  }

  #refuse(execution: Execution, error: ParleyError): void {
    const { execution_id } = execution.dispatch;
    this.#ports.results.keep({ execution_id, status: 'failed', error: error.toObject() }, undefined, execution.over);
  }

  #startNext(): void {
    for (const execution of this.#waiting) {
      if (this.#running >= this.#limits.runningMax) return;
      const definition = this.#ports.functions.get(execution.dispatch.function) as FunctionDefinition;
      const { name, max_concurrent } = definition.declaration;
      // One busy function does not hold up the others.
      if ((this.#bodies.get(name) ?? 0) >= (max_concurrent ?? Number.POSITIVE_INFINITY)) continue;
      this.#waiting.delete(execution);
      this.#running += 1;
      this.#bodies.set(name, (this.#bodies.get(name) ?? 0) + 1);
      void this.#run(execution, definition).finally(() => {
        this.#bodies.set(name, (this.#bodies.get(name) ?? 1) - 1);
        // A body that returned without waiting for its calls gave its place away before.
        if (execution.calls === 0) this.#running -= 1;
        execution.calls = Number.NEGATIVE_INFINITY;
        this.#startNext();
      });
    }
  }

  /** While an execution waits for what it called, others may run in its place (P3). */
  async waitingFor<T>(execution: Execution, call: Promise<T>): Promise<T> {
    execution.calls += 1;
    if (execution.calls === 1) {
      this.#running -= 1;
      this.#startNext();
    }
    try {
      return await call;
    } finally {
      execution.calls -= 1;
      if (execution.calls === 0) this.#running += 1;
    }
  }

  async #run(execution: Execution, definition: FunctionDefinition): Promise<void> {
    const context = this.#ports.contextOf(execution);
    try {
      const { input } = execution.dispatch;
      const parsed = definition.input ? await definition.input.parse(input) : input;
      execution.abort.signal.throwIfAborted();
      const { body } = definition;
      const returned =
        body instanceof URL
          ? await this.#ports.threads.run({ module: body, name: definition.declaration.name, input: parsed, context })
          : await body(parsed, context);
      const output = definition.output ? await definition.output.parse(returned) : returned;
      this.#end(
        execution,
        'succeeded',
        payloadText(output, `the output of ${definition.declaration.name}`, 'internal'),
      );
    } catch (error) {
      this.#fail(execution, error);
    }
  }

  /** Tells the body to stop, and gives it up when it does not. */
  #abort(execution: Execution, reason: ParleyError): void {
    if (execution.abort.signal.aborted) return;
    execution.timer?.cancel();
    execution.abort.abort(reason);
    if (this.#waiting.delete(execution)) return this.#fail(execution, reason);
    execution.timer = this.#ports.clock.after(this.#limits.cancelMs, () => this.#fail(execution, reason));
  }

  #fail(execution: Execution, error: unknown): void {
    if (!this.#open.has(execution.dispatch.execution_id)) return;
    const { signal } = execution.abort;
    // Whatever a body throws after it was told to stop, that is why it ended.
    const failure = ParleyError.from(signal.aborted ? signal.reason : error);
    const status = !signal.aborted ? 'failed' : failure.code === 'deadline_exceeded' ? 'timed_out' : 'cancelled';
    const fields = { execution_id: execution.dispatch.execution_id, function: execution.dispatch.function, status };
    this.#ports.log.info('execution ended', { ...fields, code: failure.code });
    if (!signal.aborted && error instanceof Error) this.#ports.log.debug('it threw', { ...fields, stack: error.stack });
    this.#end(execution, status, undefined, failure.toObject());
  }

  #end(
    execution: Execution,
    status: 'succeeded' | 'failed' | 'cancelled' | 'timed_out',
    output?: string,
    error?: ErrorObject,
  ): void {
    const { execution_id } = execution.dispatch;
    // The first end counts (P2).
    if (!this.#open.delete(execution_id)) return;
    execution.timer?.cancel();
    execution.abort.abort(ENDED);
    this.#ports.results.keep({ execution_id, status, ...(error && { error }) }, output, execution.over);
    this.#ports.changed();
  }
}
