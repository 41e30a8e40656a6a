// A backend that does what a script says. It keeps every promise of the port that the real ones keep, and the shared suite
// holds it to that: what passes here with a wrong use of the port would fail there.

import { randomUUID } from 'node:crypto';
import { inputProblem, type JsonSchema, ParleyError } from '@parley/core';
import { type AgentConfig, type CheckedAgentConfig, checkAgentConfig } from '../config.ts';
import { turnError } from '../failures.ts';
import { interruptionOf, untilAborted } from '../interruption.ts';
import { checkHostFunctions, type TurnRequest, turnRequest } from '../request.ts';
import type {
  AgentRunner,
  AgentSessionFactory,
  AgentTurnEvent,
  AgentTurnResult,
  AgentTurnUsage,
  BackendState,
  HostFunction,
  RunnerOptions,
  TurnOptions,
} from '../runner.ts';
import { parseStructured } from '../structured.ts';

/** What a script is asked. */
export interface FakeTurn {
  readonly prompt: string;
  /** 0 for the first turn of the conversation. */
  readonly index: number;
  readonly config: CheckedAgentConfig;
  readonly outputSchema: JsonSchema | undefined;
  readonly timeoutSeconds: number;
}

/** What happens in a turn, in this order. A text alone is the answer. */
export interface FakeReply {
  readonly events?: readonly AgentTurnEvent[];
  /** Host functions that the agent calls. Each becomes an event of the kind `dynamicToolCall`. */
  readonly calls?: readonly { readonly name: string; readonly input: unknown }[];
  /** Milliseconds before the end; `Infinity` for a turn that never ends by itself. */
  readonly delayMs?: number;
  /** Milliseconds that the clean-up of an interrupted turn takes, in which the runner is still busy. */
  readonly cleanUpMs?: number;
  /** The turn fails with this. */
  readonly error?: Error;
  /** The backend is lost: all its runners are. */
  readonly losesBackend?: boolean;
  readonly text?: string;
  readonly usage?: AgentTurnUsage;
}

export type FakeScript = (turn: FakeTurn) => FakeReply | string | Promise<FakeReply | string>;

export interface FakeOptions {
  /** Default: the answer to every prompt is the prompt. */
  script?: FakeScript | undefined;
  /** `start` fails with this. */
  startError?: Error | undefined;
}

/**
 * An `AgentSessionFactory` for tests.
 *
 * @example
 * const factory = new FakeAgentSessionFactory({ script: ({ prompt }) => ({ text: `did: ${prompt}`, delayMs: 20 }) });
 * await factory.start();
 * await (await factory.runner({ workingDirectory: '/tmp' })).turn('sweep');
 * factory.turns; // [{ prompt: 'sweep', timeoutSeconds: 600, … }]
 */
export class FakeAgentSessionFactory implements AgentSessionFactory {
  /** Every turn that was begun, in order, of all runners. */
  readonly turns: FakeTurn[] = [];
  readonly runners: FakeAgentRunner[] = [];
  starts = 0;
  closes = 0;
  #state: BackendState = 'new';
  readonly #options: FakeOptions;
  readonly #conversations = new Map<string, FakeTurn[]>();
  readonly #lost = new AbortController();

  constructor(options: FakeOptions = {}) {
    this.#options = options;
  }

  get state(): BackendState {
    return this.#state;
  }

  /** Aborted with what running turns have to end with. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get script(): FakeScript {
    return this.#options.script ?? (({ prompt }) => prompt);
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') {
      throw new ParleyError('failed_precondition', `a factory is started once; this one is ${this.#state}`);
    }
    this.starts += 1;
    this.#state = 'starting';
    await Promise.resolve();
    if (this.#options.startError) {
      this.#state = 'invalid';
      const cause = this.#options.startError;
      throw turnError('backend_start_failed', `the backend did not start: ${cause.message}`, { cause });
    }
    this.#state = 'ready';
  }

  async runner(config: AgentConfig, options: RunnerOptions = {}): Promise<FakeAgentRunner> {
    this.checkUsable();
    const checked = checkAgentConfig(config);
    checkHostFunctions(options.functions ?? []);
    const id = options.conversationId;
    if (id !== undefined && !this.#conversations.has(id)) {
      throw turnError('rejected', `there is no conversation ${id}`, { code: 'not_found' });
    }
    const runner = new FakeAgentRunner(this, checked, options.functions ?? [], id ?? null);
    this.runners.push(runner);
    return runner;
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.closes += 1;
    this.#state = 'closed';
    this.#lost.abort(turnError('backend_closed', 'the backend was closed'));
    await Promise.resolve();
  }

  /** The backend dies, as a process would. */
  lose(): void {
    if (this.#state !== 'ready') return;
    this.#state = 'invalid';
    this.#lost.abort(turnError('backend_invalid', 'the backend was lost'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  checkUsable(): void {
    if (this.#state === 'ready') return;
    if (this.#state === 'closed') throw turnError('backend_closed', 'the backend was closed: make a new factory');
    if (this.#state === 'invalid') throw turnError('backend_invalid', 'the backend was lost: make a new factory');
    throw turnError('backend_not_started', 'start the factory before you use it');
  }

  conversation(id: string): FakeTurn[] {
    let turns = this.#conversations.get(id);
    if (!turns) this.#conversations.set(id, (turns = []));
    return turns;
  }

  forget(id: string): void {
    this.#conversations.delete(id);
  }
}

/** A runner of the fake; `turns` are the ones it was asked for. */
export class FakeAgentRunner implements AgentRunner {
  readonly config: CheckedAgentConfig;
  readonly #factory: FakeAgentSessionFactory;
  readonly #functions: readonly HostFunction[];
  readonly #disposed = new AbortController();
  #conversationId: string | null;
  #busy = false;

  constructor(
    factory: FakeAgentSessionFactory,
    config: CheckedAgentConfig,
    functions: readonly HostFunction[],
    conversationId: string | null,
  ) {
    this.#factory = factory;
    this.config = config;
    this.#functions = functions;
    this.#conversationId = conversationId;
  }

  get conversationId(): string | null {
    return this.#conversationId;
  }

  /** What this conversation was asked. */
  get turns(): readonly FakeTurn[] {
    return this.#conversationId === null ? [] : this.#factory.conversation(this.#conversationId);
  }

  async turn(prompt: string, options: TurnOptions = {}): Promise<AgentTurnResult> {
    const request = turnRequest(prompt, options);
    if (this.#disposed.signal.aborted) throw this.#disposed.signal.reason;
    this.#factory.checkUsable();
    if (this.#busy) throw turnError('concurrent_turn', 'a turn of this runner is running already');
    this.#busy = true;
    try {
      return await this.#run(request);
    } finally {
      this.#busy = false;
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed.signal.aborted) return;
    this.#disposed.abort(turnError('backend_closed', 'this runner was disposed of'));
    if (this.#conversationId !== null) this.#factory.forget(this.#conversationId);
    await Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #run(request: TurnRequest): Promise<AgentTurnResult> {
    this.#conversationId ??= randomUUID();
    const turns = this.#factory.conversation(this.#conversationId);
    const { prompt, outputSchema, timeoutMs } = request;
    const turn = { prompt, index: turns.length, config: this.config, outputSchema, timeoutSeconds: timeoutMs / 1000 };
    turns.push(turn);
    this.#factory.turns.push(turn);

    using over = interruptionOf(request, [this.#factory.lost, this.#disposed.signal], () => 'what its script says');
    const scripted = await untilAborted(Promise.resolve(this.#factory.script(turn)), over.signal);
    const reply = typeof scripted === 'string' ? { text: scripted } : scripted;
    try {
      const events = await this.#perform(reply, request, over.signal);
      await waited(reply.delayMs ?? 0, over.signal);
      if (reply.losesBackend) this.#factory.lose();
      over.signal.throwIfAborted();
      if (reply.error) throw reply.error;
      const assistantText = reply.text ?? '';
      return {
        assistantText,
        events,
        ...(outputSchema && { structured: parseStructured(outputSchema, assistantText) }),
        ...(reply.usage && { usage: reply.usage }),
      };
    } catch (error) {
      if (over.signal.aborted && reply.cleanUpMs !== undefined) await waited(reply.cleanUpMs, this.#factory.lost);
      throw error;
    }
  }

  async #perform(reply: FakeReply, request: TurnRequest, signal: AbortSignal): Promise<AgentTurnEvent[]> {
    const events: AgentTurnEvent[] = [];
    const tell = (event: AgentTurnEvent): void => {
      events.push(event);
      request.onEvent?.(event);
    };
    for (const event of reply.events ?? []) tell(event);
    for (const { name, input } of reply.calls ?? []) {
      const metadata = { tool: name, arguments: input, ...(await this.#call(name, input, signal)) };
      tell({ kind: 'dynamicToolCall', summary: name, metadata });
    }
    if (reply.text !== undefined && !reply.error) {
      tell({ kind: 'agentMessage', summary: reply.text.slice(0, 200), metadata: { text: reply.text } });
    }
    return events;
  }

  async #call(name: string, input: unknown, signal: AbortSignal): Promise<{ success: boolean; output: string }> {
    const found = this.#functions.find((one) => one.name === name);
    if (!found) return { success: false, output: `there is no function '${name}'` };
    const problem = inputProblem(found.inputSchema, input);
    if (problem !== null) return { success: false, output: problem };
    try {
      const output = await untilAborted(Promise.resolve(found.run(input, { signal })), signal);
      return { success: true, output: typeof output === 'string' ? output : JSON.stringify(output ?? null) };
    } catch (error) {
      signal.throwIfAborted();
      return { success: false, output: error instanceof Error ? error.message : String(error) };
    }
  }
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    // No timer where none is asked for: tests with a virtual clock then need not turn it.
    if (ms <= 0) return resolve();
    const cut = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const done = (): void => {
      signal.removeEventListener('abort', cut);
      resolve();
    };
    const timer = Number.isFinite(ms) ? setTimeout(done, ms) : undefined;
    signal.addEventListener('abort', cut, { once: true });
  });
}
