// Requests of one agent instance: function.call and session.*. Each gets exactly one reply.
//
// P1  A reply that finds no link waits for the next one of the same instance.
// P2  A function.call that is repeated over a new link runs once: it is answered with the end of the first.

import { type AgentFrame, type ErrorObject, type ExecutionResource, isTerminal, ParleyError } from '@parley/core';
import type { SessionHost } from './ports.ts';
import type { ExecutionHost, Instance } from './work.ts';

export type RequestFrame = Extract<AgentFrame, { request_id: string }>;
type Asked = Exclude<RequestFrame, { type: 'function.cancel' }>;

/** The one whose requests these are. */
export interface Requester extends Instance {
  readonly sessions: ReadonlyMap<string, string>;
}

/** function.calls that are remembered for P2 after their reply. */
const CALLS_REMEMBERED_MAX = 1024;

export class Requests {
  readonly #executions: ExecutionHost;
  readonly #sessions: SessionHost;
  readonly #requests_max: number;
  readonly #waiting = new Set<string>();
  /** request_id of a function.call to its execution. */
  readonly #calls = new Map<string, string>();
  /** request_ids that were cancelled before their execution had an id. */
  readonly #cancelled = new Set<string>();
  readonly #unsent: string[] = [];
  #send: ((reply: string) => void) | null = null;

  constructor(executions: ExecutionHost, sessions: SessionHost, requests_max: number) {
    this.#executions = executions;
    this.#sessions = sessions;
    this.#requests_max = requests_max;
  }

  /** Without a reply so far, or with one that could not be sent. */
  get waiting(): number {
    return this.#waiting.size + this.#unsent.length;
  }

  /** Where replies go from now on; null while there is no link (P1). */
  reach(send: ((reply: string) => void) | null): void {
    this.#send = send;
    if (send) for (const reply of this.#unsent.splice(0)) send(reply);
  }

  take(from: Requester, frame: RequestFrame): void {
    if (frame.type === 'function.cancel') this.#cancel(frame.request_id);
    else void this.#serve(from, frame);
  }

  async #serve(from: Requester, frame: Asked): Promise<void> {
    const { request_id } = frame;
    // Repeated while it is served: the one reply is still to come.
    if (this.#waiting.has(request_id)) return;
    if (this.waiting >= this.#requests_max) {
      const limit = this.#requests_max;
      const message = `the agent is at its limit of ${limit} requests in flight`;
      this.#reply(request_id, {
        error: new ParleyError('resource_exhausted', message, { details: { limit } }).toObject(),
      });
      return;
    }
    this.#waiting.add(request_id);
    let reply: { result: unknown } | { error: ErrorObject };
    try {
      reply = { result: (await this.#perform(from, frame)) ?? null };
    } catch (error) {
      reply = { error: ParleyError.from(error, 'internal').toObject() };
    }
    this.#waiting.delete(request_id);
    this.#cancelled.delete(request_id);
    this.#reply(request_id, reply);
  }

  async #perform(from: Requester, frame: Asked): Promise<unknown> {
    if (frame.type === 'function.call') return outputOf(await this.#call(from, frame));
    own(from, frame.session_id);
    switch (frame.type) {
      case 'session.say':
        return this.#sessions.say(frame.session_id, frame.text);
      case 'session.inject':
        return this.#sessions.inject(frame.session_id, frame.text, frame.respond ?? false);
      case 'session.update': {
        const { instructions, voice, turn_detection, tools } = frame;
        return this.#sessions.update(frame.session_id, { instructions, voice, turn_detection, tools });
      }
      case 'session.close':
        return this.#sessions.close(frame.session_id, frame.reason ?? 'closed by the handler', 'handler');
    }
  }

  async #call(from: Requester, frame: Extract<Asked, { type: 'function.call' }>): Promise<ExecutionResource> {
    const known = this.#calls.get(frame.request_id);
    if (known !== undefined) return this.#executions.ended(known);
    const { execution_id } = await this.#executions.start({
      target: frame.target,
      input: frame.input,
      ...this.#parent(from, frame.parent_execution_id, frame.session_id),
    });
    this.#remember(frame.request_id, execution_id);
    if (this.#cancelled.has(frame.request_id)) return this.#executions.cancel(execution_id, 'the caller gave up');
    return this.#executions.ended(execution_id);
  }

  #parent(from: Requester, parent_execution_id: string | undefined, session_id: string | undefined) {
    if (parent_execution_id !== undefined) {
      const parent = this.#executions.runBy(from, parent_execution_id);
      return { parent_execution_id, workflow_id: parent.workflow_id, session_id: parent.session_id };
    }
    if (session_id !== undefined) {
      own(from, session_id);
      const root = this.#sessions.root(session_id);
      return { parent_execution_id: root.execution_id, workflow_id: root.workflow_id, session_id };
    }
    throw new ParleyError('invalid_argument', 'function.call needs parent_execution_id or session_id');
  }

  #remember(request_id: string, execution_id: string): void {
    this.#calls.set(request_id, execution_id);
    if (this.#calls.size <= CALLS_REMEMBERED_MAX) return;
    for (const old of this.#calls.keys()) {
      if (this.#waiting.has(old)) continue;
      this.#calls.delete(old);
      return;
    }
  }

  #cancel(request_id: string): void {
    if (!this.#waiting.has(request_id)) return;
    const execution_id = this.#calls.get(request_id);
    if (execution_id === undefined) this.#cancelled.add(request_id);
    // Whether it can be cancelled is told by the reply of the call itself.
    else this.#executions.cancel(execution_id, 'the caller gave up').catch(() => undefined);
  }

  #reply(request_id: string, reply: { result: unknown } | { error: ErrorObject }): void {
    const text = JSON.stringify({ type: 'reply', request_id, ...reply });
    if (this.#send) this.#send(text);
    else this.#unsent.push(text);
  }
}

function own(from: Requester, session_id: string): void {
  if (from.sessions.has(session_id)) return;
  throw new ParleyError('permission_denied', `this agent does not run the handler of session ${session_id}`);
}

function outputOf(execution: ExecutionResource): unknown {
  if (execution.status === 'succeeded') return execution.output;
  if (execution.error) throw ParleyError.from(execution.error);
  const words = isTerminal(execution.status) ? `ended as ${execution.status}` : `is ${execution.status}`;
  throw new ParleyError(execution.status === 'cancelled' ? 'cancelled' : 'unknown', `the execution ${words}`);
}
