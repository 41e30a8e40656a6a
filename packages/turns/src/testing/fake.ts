// A backend that does what a script says. It keeps every promise of the port that the real ones keep, and the shared suite
// holds it to that: what passes here with a wrong use of the port would fail there.

import { ParleyError } from '@parley/core';
import { type AgentConfig, checkAgentConfig } from '../config.ts';
import { turnError } from '../failures.ts';
import { checkHostFunctions } from '../request.ts';
import type { AgentSessionFactory, BackendState, RunnerOptions } from '../runner.ts';
import { FakeAgentRunner, type FakeBackend } from './fake-runner.ts';
import type { FakeScript, FakeTurn } from './fake-script.ts';

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
export class FakeAgentSessionFactory implements AgentSessionFactory, FakeBackend {
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
