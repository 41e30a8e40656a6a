// Executions and their workflows over HTTP.

import type { BatchStatusResponse, ExecutionResource, WorkflowResource } from '@parley/core';
import { isTerminal, ParleyError } from '@parley/core';
import { type Http, pause } from './http.ts';
import { CALL_TIMEOUT_MS, type RequestOptions } from './sessions.ts';
import { readSse } from './sse.ts';

export interface ExecuteOptions {
  /** The same key twice is one execution: with it a failed request is retried. */
  idempotencyKey?: string | undefined;
  /** How long the function may work, in milliseconds; the server's default is 90 000. */
  timeoutMs?: number | undefined;
  /** The session that the execution belongs to. */
  sessionId?: string | undefined;
  /** The execution that asks for this one: the edge of the workflow. */
  parentExecutionId?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** An entry of an execution's stream: its type, and whatever else the server tells. */
export type ExecutionEvent = { type: string } & Record<string, unknown>;

/** What a synchronous answer may take longer than the function itself. */
const ANSWER_MARGIN_MS = 5000;
const POLL_MIN_MS = 100;
const POLL_MAX_MS = 2000;
/** Ids in one batch request; the contract's bound. */
const BATCH_MAX = 1000;

export class Executions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Runs a function (`agent.function`) and waits for its end, whatever that is: read `status`.
   *
   * @throws ParleyError when it could not be admitted: `not_found`, `invalid_argument`, `resource_exhausted` …
   * @example
   * const run = await parley.executions.execute('support.lookup', { order: '42' });
   * if (run.status === 'succeeded') console.log(run.output);
   */
  execute(target: string, input?: unknown, options: ExecuteOptions = {}): Promise<ExecutionResource> {
    return this.#http.json('POST', `/api/v1/execute/${encodeURIComponent(target)}`, {
      ...executeCall(input, options),
      timeoutMs: options.timeoutMs === undefined ? CALL_TIMEOUT_MS : options.timeoutMs + ANSWER_MARGIN_MS,
    });
  }

  /** Queues a function and returns at once with its execution. */
  executeAsync(target: string, input?: unknown, options: ExecuteOptions = {}): Promise<ExecutionResource> {
    return this.#http.json('POST', `/api/v1/execute/async/${encodeURIComponent(target)}`, executeCall(input, options));
  }

  get(id: string, options: RequestOptions = {}): Promise<ExecutionResource> {
    return this.#http.json('GET', executionPath(id), options);
  }

  /** Asks an execution to stop. One that has ended stays as it is. */
  cancel(id: string, reason?: string, options: RequestOptions = {}): Promise<ExecutionResource> {
    const body = reason === undefined ? {} : { reason };
    return this.#http.json('POST', executionPath(id, 'cancel'), { ...options, body, repeatable: true });
  }

  /** Adds a note to an execution, for whoever reads it later. */
  note(id: string, text: string, data?: unknown, options: RequestOptions = {}): Promise<void> {
    const body = data === undefined ? { text } : { text, data };
    return this.#http.json('POST', executionPath(id, 'notes'), { ...options, body });
  }

  /** The state of up to 1000 executions in one request. */
  batch(ids: readonly string[], options: RequestOptions = {}): Promise<BatchStatusResponse> {
    if (ids.length === 0 || ids.length > BATCH_MAX) {
      throw new ParleyError('invalid_argument', `a batch has 1 to ${BATCH_MAX} execution ids, got ${ids.length}`);
    }
    const body = { execution_ids: ids };
    return this.#http.json('POST', '/api/v1/executions/batch-status', { ...options, body, repeatable: true });
  }

  /** Waits until an execution has ended. @throws ParleyError `cancelled` when the signal fires. */
  async wait(id: string, options: RequestOptions = {}): Promise<ExecutionResource> {
    for (let pause_ms = POLL_MIN_MS; ; pause_ms = Math.min(POLL_MAX_MS, pause_ms * 1.5)) {
      const execution = await this.get(id, options);
      if (isTerminal(execution.status)) return execution;
      await pause(pause_ms, options.signal);
    }
  }

  /** The live events of one execution until it ends or the stream does. */
  async *events(id: string, options: RequestOptions = {}): AsyncGenerator<ExecutionEvent> {
    const body = await this.#http.stream(executionPath(id, 'events'), options);
    for await (const message of readSse(body)) {
      if (message !== null) yield { ...(JSON.parse(message.data) as Record<string, unknown>), type: message.event };
    }
  }
}

export class Workflows {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /** The tree of executions of a workflow. */
  dag(id: string, options: RequestOptions = {}): Promise<WorkflowResource> {
    return this.#http.json('GET', `/api/v1/workflows/${encodeURIComponent(id)}/dag`, options);
  }
}

function executeCall(input: unknown, options: ExecuteOptions) {
  const body: Record<string, unknown> = {};
  if (input !== undefined) body['input'] = input;
  if (options.timeoutMs !== undefined) body['timeout_ms'] = options.timeoutMs;
  return {
    body,
    headers: { 'x-session-id': options.sessionId, 'x-parent-execution-id': options.parentExecutionId },
    idempotencyKey: options.idempotencyKey,
    signal: options.signal,
  };
}

function executionPath(id: string, rest?: string): string {
  const path = `/api/v1/executions/${encodeURIComponent(id)}`;
  return rest === undefined ? path : `${path}/${rest}`;
}
