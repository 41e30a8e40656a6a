// Requests of one agent instance: function.call and session.*. Each is performed once and gets one answer. An agent whose
// link was cut repeats what was not answered, under the same id: what is still being done is then answered over the link
// of the repeat, and what was answered already is answered again with the same words.

import { type AgentFrame, type ErrorObject, type ExecutionResource, isTerminal, ParleyError } from '@parley/core';
import type { SessionHost } from './ports.ts';
import type { ExecutionHost, Instance } from './work.ts';

export type RequestFrame = Extract<AgentFrame, { request_id: string }>;
type Asked = Exclude<RequestFrame, { type: 'function.cancel' }>;

/** The one whose requests these are. */
export interface Requester extends Instance {
  readonly sessions: ReadonlyMap<string, unknown>;
}

/** What became of a function.call: its execution has an id, or the caller gave up before it had. */
type Call = { execution_id: string | null; cancelled: boolean; reply: (frame: string) => void };

/** Answers that are kept for repeats, at most so many and so long together. */
const ANSWERS_MAX = 1024;
const ANSWER_CHARS_MAX = 8 * 1024 * 1024;

const GAVE_UP = 'the caller gave up';

export class Requests {
  readonly #executions: ExecutionHost;
  readonly #sessions: SessionHost;
  readonly #requests_max: number;
  readonly #waiting = new Map<string, Call>();
  /** The newest last. */
  readonly #answered = new Map<string, string>();
  #answeredChars = 0;

  constructor(executions: ExecutionHost, sessions: SessionHost, requests_max: number) {
    this.#executions = executions;
    this.#sessions = sessions;
    this.#requests_max = requests_max;
  }

  /** @param reply takes the frame that answers. */
  take(from: Requester, frame: RequestFrame, reply: (frame: string) => void): void {
    if (frame.type === 'function.cancel') this.#cancel(frame.request_id);
    else void this.#serve(from, frame, reply);
  }

  async #serve(from: Requester, frame: Asked, reply: (frame: string) => void): Promise<void> {
    const { request_id } = frame;
    const known = this.#waiting.get(request_id);
    if (known) {
      known.reply = reply;
      return;
    }
    const before = this.#answered.get(request_id);
    if (before !== undefined) {
      reply(before);
      return;
    }
    const call: Call = { execution_id: null, cancelled: false, reply };
    let answer: { result: unknown } | { error: ErrorObject };
    try {
      this.#checkRoom();
      this.#waiting.set(request_id, call);
      answer = { result: (await this.#perform(from, frame, call)) ?? null };
    } catch (error) {
      answer = { error: ParleyError.from(error, 'internal').toObject() };
    }
    this.#waiting.delete(request_id);
    const text = JSON.stringify({ type: 'reply', request_id, ...answer });
    this.#remember(request_id, text);
    call.reply(text);
  }

  #remember(request_id: string, text: string): void {
    this.#answered.set(request_id, text);
    this.#answeredChars += text.length;
    for (const [oldest, old] of this.#answered) {
      if (this.#answered.size <= ANSWERS_MAX && this.#answeredChars <= ANSWER_CHARS_MAX) break;
      this.#answered.delete(oldest);
      this.#answeredChars -= old.length;
    }
  }

  #checkRoom(): void {
    const limit = this.#requests_max;
    if (this.#waiting.size < limit) return;
    throw new ParleyError('resource_exhausted', `the agent is at its limit of ${limit} requests in flight`, {
      details: { limit, current: this.#waiting.size },
    });
  }

  async #perform(from: Requester, frame: Asked, call: Call): Promise<unknown> {
    if (frame.type === 'function.call') return outputOf(await this.#call(from, frame, call));
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

  async #call(
    from: Requester,
    frame: Extract<Asked, { type: 'function.call' }>,
    call: Call,
  ): Promise<ExecutionResource> {
    const { execution_id } = await this.#executions.start({
      target: frame.target,
      input: frame.input,
      ...this.#parent(from, frame.parent_execution_id, frame.session_id),
    });
    call.execution_id = execution_id;
    if (call.cancelled) return this.#executions.cancel(execution_id, GAVE_UP);
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

  #cancel(request_id: string): void {
    const call = this.#waiting.get(request_id);
    if (!call || call.cancelled) return;
    call.cancelled = true;
    // How it ended is told by the reply to the call itself; a cancel that fails leaves it running.
    if (call.execution_id !== null) this.#executions.cancel(call.execution_id, GAVE_UP).catch(() => undefined);
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
