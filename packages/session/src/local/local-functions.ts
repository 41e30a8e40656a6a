// The functions of an agent whose session is kept here: no control plane stands between the session and its tools.

import { type EventOf, newId, ParleyError, parseTarget } from '@parley/core';
import type { Clock } from '@parley/transport';
import { callFrame } from '../realtime-session.ts';
import type { Call, CallOptions, Context } from '../context.ts';
import type { FunctionRef } from '../functions.ts';
import { payloadText } from '../json.ts';
import { type Log, withFields } from '../log.ts';
import { Threads } from '../threads.ts';
import type { AgentParts } from '../agent-parts.ts';

export interface Run {
  execution_id: string;
  target: string;
  input: unknown;
  timeout_ms: number;
  parent_execution_id: string;
  /** Ends with what asked for it. */
  signal?: AbortSignal | undefined;
}

export type RunEnd = Pick<EventOf<'tool.completed'>, 'status' | 'output' | 'error'>;

interface Limits {
  runningMax: number;
  threadsMax: number;
  threadHeapMb: number;
  cancelMs: number;
}

const TIMEOUT_MS = 90_000;

export class LocalFunctions {
  readonly #agent: AgentParts;
  readonly #within: { sessionId: string; workflowId: string };
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #running = new Map<string, AbortController>();
  readonly #threads: Threads;

  constructor(
    agent: AgentParts,
    within: { sessionId: string; workflowId: string },
    limits: Limits,
    clock: Clock,
    log: Log,
  ) {
    this.#agent = agent;
    this.#within = within;
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#threads = new Threads(limits, clock, log);
  }

  /** Runs a function to its end, and says what that was. Never rejects. */
  async run(run: Run): Promise<RunEnd> {
    const abort = new AbortController();
    const end = (): void => abort.abort(ParleyError.from(run.signal?.reason, 'cancelled'));
    run.signal?.addEventListener('abort', end, { once: true });
    if (run.signal?.aborted) end();
    const timer = this.#clock.after(run.timeout_ms, () =>
      abort.abort(new ParleyError('deadline_exceeded', `${run.target} did not end within ${run.timeout_ms} ms`)),
    );
    let grace: { cancel(): void } | null = null;
    try {
      if (this.#running.size >= this.#limits.runningMax) {
        throw new ParleyError('resource_exhausted', `${this.#running.size} functions run in this session already`);
      }
      this.#running.set(run.execution_id, abort);
      const { promise: givenUp, reject } = Promise.withResolvers<never>();
      abort.signal.addEventListener('abort', () => {
        // A body that does not stop by itself is given up.
        grace = this.#clock.after(this.#limits.cancelMs, () => reject(abort.signal.reason));
      });
      const output = await Promise.race([this.#perform(run, abort.signal), givenUp]);
      return { status: 'succeeded', ...(output === undefined ? {} : { output }) };
    } catch (thrown) {
      const { aborted, reason } = abort.signal;
      const error = ParleyError.from(aborted ? reason : thrown);
      const status = !aborted ? 'failed' : error.code === 'deadline_exceeded' ? 'timed_out' : 'cancelled';
      this.#log.info('a function ended', {
        execution_id: run.execution_id,
        target: run.target,
        status,
        code: error.code,
      });
      return { status, error: error.toObject() };
    } finally {
      timer.cancel();
      (grace as { cancel(): void } | null)?.cancel();
      run.signal?.removeEventListener('abort', end);
      this.#running.delete(run.execution_id);
    }
  }

  cancel(execution_id: string, reason: string): void {
    this.#running.get(execution_id)?.abort(new ParleyError('cancelled', reason));
  }

  close(reason: ParleyError): void {
    for (const abort of this.#running.values()) abort.abort(reason);
    this.#threads.close();
  }

  async #perform(run: Run, signal: AbortSignal): Promise<unknown> {
    const { agent, name } = parseTarget(run.target);
    const definition = agent === this.#agent.name ? this.#agent.functions.get(name) : undefined;
    if (!definition) {
      const message =
        agent === this.#agent.name
          ? `agent ${agent} has no function '${name}'`
          : `${run.target} is a function of another agent, which needs a control plane to be reached`;
      throw new ParleyError('not_found', message);
    }
    const input = definition.input ? await definition.input.parse(run.input) : run.input;
    signal.throwIfAborted();
    const context = this.#contextOf(run, signal);
    const { body } = definition;
    const returned =
      body instanceof URL
        ? await this.#threads.run({ module: body, name, input, context })
        : await body(input, context);
    const output = definition.output ? await definition.output.parse(returned) : returned;
    payloadText(output, `the output of ${name}`, 'internal');
    return output;
  }

  #contextOf(run: Run, signal: AbortSignal): Context {
    const log = withFields(this.#log, { execution_id: run.execution_id, function: run.target });
    const call = async (target: string | FunctionRef, input?: unknown, options: CallOptions = {}): Promise<unknown> =>
      this.call(target, input, run.execution_id, options.signal ? AbortSignal.any([signal, options.signal]) : signal);
    return {
      executionId: run.execution_id,
      workflowId: this.#within.workflowId,
      sessionId: this.#within.sessionId,
      parentExecutionId: run.parent_execution_id,
      signal,
      // One function answers both signatures of Call: a reference is a target with types.
      call: call as Call,
      note: (text, data) => {
        payloadText(data, 'the data of a note', 'invalid_argument');
        log.debug('note', { chars: text.length });
      },
      log,
    };
  }

  /** A call of one function by another one, or by a handler. @throws ParleyError how it ended when it did not succeed. */
  async call(
    target: string | FunctionRef,
    input: unknown,
    parent_execution_id: string,
    signal: AbortSignal,
  ): Promise<unknown> {
    const frame = callFrame(this.#agent.name, target, input);
    const declared = this.#agent.functions.get(parseTarget(frame.target).name)?.declaration;
    const ended = await this.run({
      execution_id: newId('execution'),
      target: frame.target,
      input: frame.input,
      timeout_ms: declared?.timeout_ms ?? TIMEOUT_MS,
      parent_execution_id,
      signal,
    });
    if (ended.error) throw ParleyError.from(ended.error);
    return ended.output;
  }
}
