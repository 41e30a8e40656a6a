// What an application author begins with.

import { LIMITS, NAME_PATTERN, ParleyError, type SchemaLike, type SessionDeclaration } from '@parley/core';
import type { AgentStatus } from './agent-parts.ts';
import { type AgentCall, AgentCalls, type JoinedCall } from './call.ts';
import type { Context } from './context.ts';
import { declaredOn } from './decorators.ts';
import {
  defineFunction,
  type FunctionDefinition,
  type FunctionOptions,
  type FunctionRef,
  type ThreadedFunctionOptions,
} from './functions.ts';
import type { Parsed, Unparsed } from './schema.ts';
import { serveUntilSignal } from './serve.ts';
import { defineSession, type SessionDefinition, type SessionHandler, type SessionOptions } from './session-options.ts';
import { type AgentOptions, settle } from './settings.ts';
import { AgentWorker } from './worker.ts';

/** A running agent. */
export interface AgentHandle {
  /** Resolves when the control plane registered it; rejects with the ParleyError when it never will. */
  readonly ready: Promise<void>;
  /** Resolves when it stopped; rejects with the ParleyError of a refusal that trying again cannot help. */
  readonly stopped: Promise<void>;
  readonly status: AgentStatus;
  /** Takes no new work, finishes the old, and stops. After `drainMs` it stops anyway. */
  drain(): Promise<void>;
  /** Cancels what runs, says how it ended, and stops. A second call does not wait for that. */
  stop(): Promise<void>;
}

export interface ServeOptions extends AgentOptions {
  /** Drains and stops when aborted. */
  signal?: AbortSignal | undefined;
}

/**
 * A program that offers sessions and functions.
 *
 * @example
 * const support = new Agent('support');
 * const find = support.skill('find_order', { input: z.object({ order: z.string() }) }, ({ order }) => orders.get(order));
 * support.session('voice', { provider: 'simulator', transport: 'websocket', tools: ['find_order'] });
 * await support.serve();
 */
export class Agent {
  readonly name: string;
  readonly #options: AgentOptions;
  readonly #sessions = new Map<string, SessionDefinition>();
  readonly #functions = new Map<string, FunctionDefinition>();
  readonly #calls: AgentCalls;

  /** @throws ParleyError `invalid_argument` when the name does not match `^[a-z][a-z0-9_-]{0,63}$`. */
  constructor(name: string, options: AgentOptions = {}) {
    if (!new RegExp(NAME_PATTERN).test(name)) {
      throw new ParleyError('invalid_argument', `an agent's name must match ${NAME_PATTERN}, got '${name}'`);
    }
    this.name = name;
    this.#options = options;
    this.#calls = new AgentCalls(this, { name, sessions: this.#sessions, functions: this.#functions });
  }

  /**
   * An agent of an instance whose class was decorated.
   *
   * @example
   * await Agent.from(new Support()).serve();
   */
  static from(instance: object, options: AgentOptions = {}): Agent {
    const declared = declaredOn(instance);
    const agent = new Agent(declared.name, options);
    for (const member of declared.members) {
      if (member.kind === 'session') agent.session(member.name, member.options, member.body);
      else agent.#function(member.kind, member.name, member.options, member.body);
    }
    return agent;
  }

  /**
   * Declares a session. Without a handler the live model answers by itself.
   * @throws ParleyError `invalid_argument` naming the field, `already_exists`.
   */
  session(name: string, options: SessionOptions, handler?: SessionHandler): this {
    this.#room('session', this.#sessions, name, LIMITS.sessions_max);
    this.#sessions.set(name, defineSession(name, options, handler));
    return this;
  }

  /**
   * Declares a function that may call others and think. Returns a reference for `call`.
   * @throws ParleyError `invalid_argument`, `already_exists`.
   */
  reasoner<S extends SchemaLike, Output>(
    name: string,
    options: FunctionOptions<S>,
    body: (input: Parsed<S>, context: Context) => Promise<Output> | Output,
  ): FunctionRef<Unparsed<S>, Output>;
  /** The same with its body in a module, which runs in a worker thread: for work that computes or blocks. */
  reasoner<S extends SchemaLike, O extends SchemaLike>(
    name: string,
    options: ThreadedFunctionOptions<S, O>,
  ): FunctionRef<Unparsed<S>, Parsed<O>>;
  reasoner<S extends SchemaLike>(
    name: string,
    options: FunctionOptions<S> | ThreadedFunctionOptions<S>,
    body?: (input: Parsed<S>, context: Context) => unknown,
  ): FunctionRef<Unparsed<S>, unknown> {
    return this.#function('reasoner', name, options, body ?? workerOf(name, options));
  }

  /**
   * Declares a function that is plain work. Returns a reference for `call`.
   * @throws ParleyError `invalid_argument`, `already_exists`.
   */
  skill<S extends SchemaLike, Output>(
    name: string,
    options: FunctionOptions<S>,
    body: (input: Parsed<S>, context: Context) => Promise<Output> | Output,
  ): FunctionRef<Unparsed<S>, Output>;
  /** The same with its body in a module, which runs in a worker thread: for work that computes or blocks. */
  skill<S extends SchemaLike, O extends SchemaLike>(
    name: string,
    options: ThreadedFunctionOptions<S, O>,
  ): FunctionRef<Unparsed<S>, Parsed<O>>;
  skill<S extends SchemaLike>(
    name: string,
    options: FunctionOptions<S> | ThreadedFunctionOptions<S>,
    body?: (input: Parsed<S>, context: Context) => unknown,
  ): FunctionRef<Unparsed<S>, unknown> {
    return this.#function('skill', name, options, body ?? workerOf(name, options));
  }

  /** Connects, and keeps the connection. No signal of the process is touched. */
  start(options: AgentOptions = {}): AgentHandle {
    const parts = { name: this.name, sessions: this.#sessions, functions: this.#functions };
    const worker = new AgentWorker(parts, settle({ ...this.#options, ...options }));
    const stopped = worker.run();
    // Whoever looks at `stopped` or `ready` sees the error; nobody has to.
    stopped.catch(() => undefined);
    return {
      ready: worker.ready,
      stopped,
      get status() {
        return worker.status;
      },
      drain: () => {
        worker.drain();
        return stopped;
      },
      stop: () => {
        worker.stop();
        return stopped;
      },
    };
  }

  /**
   * Serves until the process is told to stop (SIGINT, SIGTERM) or `signal` is aborted, then drains. A second signal
   * stops at once.
   * @throws ParleyError when the control plane refuses the agent for good.
   */
  async serve(options: ServeOptions = {}): Promise<void> {
    const { signal, ...rest } = options;
    await serveUntilSignal(this.start(rest), signal);
  }

  /**
   * A call of this agent. Nothing begins before `join`.
   * @param type where a session of that name is declared, the call is held with it; else with the only one there is.
   * @param id 1 to 128 characters without white space.
   * @throws ParleyError `invalid_argument`.
   */
  createCall(type: string, id: string, options: { session?: string } = {}): AgentCall {
    return this.#calls.create(type, id, options.session);
  }

  /** What the session declares that a call of this type is held with. @throws ParleyError `invalid_argument`. */
  declarationFor(type: string): SessionDeclaration {
    const { session } = this.createCall(type, 'none');
    return (this.#sessions.get(session) as SessionDefinition).declaration;
  }

  /**
   * Joins a call; the session's handler, where it has one, answers in it. An agent that was launched joins where its
   * launcher says; by itself it holds the call in this process, straight with the provider that the session declares.
   * @throws ParleyError `failed_precondition` while it is in another call, or where the provider is not set up.
   */
  join(call: AgentCall): Promise<JoinedCall> {
    return this.#calls.join(call);
  }

  /**
   * The call that it is in, or null.
   *
   * @example
   * // In `onNotice` of a launcher: a goodbye that is heard, and then the end.
   * await support.joined?.session.say('We have to stop here. Goodbye!');
   * await support.joined?.leave('goodbye');
   */
  get joined(): JoinedCall | null {
    return this.#calls.joined;
  }

  /** Resolves when the call that it joined has ended. @throws ParleyError the error that it ended with. */
  finish(): Promise<void> {
    return this.#calls.finish();
  }

  /** Gives the model a text as if the user had said it, and lets it answer. Resolves when it was taken. */
  simpleResponse(text: string): Promise<void> {
    return this.#calls.simpleResponse(text);
  }

  #function<S extends SchemaLike, Input, Output>(
    kind: 'reasoner' | 'skill',
    name: string,
    options: FunctionOptions<S>,
    body: ((input: Parsed<S>, context: Context) => Promise<Output> | Output) | URL,
  ): FunctionRef<Input, Output> {
    this.#room('function', this.#functions, name, LIMITS.functions_max);
    this.#functions.set(name, defineFunction(this.name, kind, name, options, body));
    return { target: `${this.name}.${name}` };
  }

  #room(what: string, declared: ReadonlyMap<string, unknown>, name: string, max: number): void {
    if (declared.has(name)) {
      throw new ParleyError('already_exists', `agent ${this.name} has a ${what} '${name}' already`);
    }
    if (declared.size >= max) {
      throw new ParleyError('resource_exhausted', `agent ${this.name} has ${max} ${what}s already`, {
        retryable: false,
      });
    }
  }
}

function workerOf(name: string, options: FunctionOptions): URL {
  if ('worker' in options && options.worker instanceof URL) return options.worker;
  throw new ParleyError('invalid_argument', `function '${name}' needs a body, or the URL of a module as \`worker\``);
}
