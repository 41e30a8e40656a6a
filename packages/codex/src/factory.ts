// The factory: it owns the backend, its home, and the runners that were made.

import { mkdir } from 'node:fs/promises';
import { ParleyError } from '@parley/core';
import {
  type AgentConfig,
  type AgentSessionFactory,
  type BackendState,
  checkAgentConfig,
  checkHostFunctions,
  type RunnerOptions,
  turnError,
  turnFailureOf,
} from '@parley/turns';
import { Backend } from './backend.ts';
import { findCodex } from './binary.ts';
import { conversationParams } from './conversation-config.ts';
import { makeHome, removeHome } from './home.ts';
import { argumentsOf, environmentOf } from './launch.ts';
import type { CodexOptions, CodexSettings } from './options.ts';
import { CodexRunner } from './runner.ts';
import { settle } from './settings.ts';
import { VERSION } from './version.ts';
import { spawnWire } from './wire.ts';

type Phase =
  | { kind: 'new' }
  /** Without a backend as long as its home is made. */
  | { kind: 'starting'; backend?: Backend }
  | { kind: 'started'; backend: Backend }
  | { kind: 'failed' }
  | { kind: 'closed' };

/**
 * Codex as the backend of turn-based agents: one `codex app-server`, shared by every runner.
 *
 * @example
 * await using factory = new CodexSessionFactory({
 *   providers: [{ id: 'openai', baseUrl: 'https://api.openai.com/v1', key: process.env.OPENAI_API_KEY }],
 *   model: 'gpt-5.5',
 * });
 * await factory.start();
 * const runner = await factory.runner({ workingDirectory: '/srv/site', sandbox: 'workspace-write' });
 * const { assistantText } = await runner.turn('Make the tests pass.');
 */
export class CodexSessionFactory implements AgentSessionFactory {
  readonly #settings: CodexSettings;
  readonly #runners = new Set<CodexRunner>();
  #phase: Phase = { kind: 'new' };
  #starting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** To be removed. */
  #privateHome: string | null = null;

  /** @throws ParleyError `invalid_argument`, naming the option. */
  constructor(options: CodexOptions = {}) {
    this.#settings = settle(options);
  }

  get state(): BackendState {
    const phase = this.#phase;
    if (phase.kind === 'started') return phase.backend.lost.aborted ? 'invalid' : 'ready';
    return phase.kind === 'failed' ? 'invalid' : phase.kind;
  }

  /** The process of Codex, while there is one. */
  get pid(): number | undefined {
    return this.#phase.kind === 'started' ? this.#phase.backend.pid : undefined;
  }

  async start(): Promise<void> {
    if (this.#phase.kind !== 'new') {
      throw new ParleyError('failed_precondition', `a factory is started once; this one is ${this.state}`);
    }
    this.#phase = { kind: 'starting' };
    this.#starting = this.#start();
    await this.#starting;
  }

  async runner(config: AgentConfig, options: RunnerOptions = {}): Promise<CodexRunner> {
    const backend = this.#backend();
    const { runnersMax, experimentalApi } = this.#settings;
    const checked = checkAgentConfig(config);
    // What is wrong with it is told now, not at the first turn.
    conversationParams(checked, this.#settings);
    const { functions = [], conversationId } = options;
    checkHostFunctions(functions);
    if (functions.length > 0 && !experimentalApi) {
      throw turnError('invalid_argument', 'functions need experimentalApi', { code: 'unimplemented' });
    }
    if (conversationId !== undefined && [...this.#runners].some((one) => one.conversationId === conversationId)) {
      throw new ParleyError('already_exists', `another runner of this factory has the conversation ${conversationId}`);
    }
    if (this.#runners.size >= runnersMax) {
      throw new ParleyError(
        'resource_exhausted',
        `this factory has ${runnersMax} runners: dispose of those that are done`,
        {
          details: { limit: runnersMax, current: this.#runners.size },
        },
      );
    }
    const runner: CodexRunner = new CodexRunner({ backend, config: checked, functions, resumes: conversationId }, () =>
      this.#runners.delete(runner),
    );
    this.#runners.add(runner);
    return runner;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<void> {
    try {
      const binary = findCodex(this.#settings.codexPath);
      const home = await this.#home();
      const backend = new Backend(this.#settings, (handlers) =>
        spawnWire({
          path: binary.path,
          args: argumentsOf(this.#settings),
          env: environmentOf(this.#settings, binary, home),
          cwd: home,
          stopMs: this.#settings.stopMs,
          lineBytesMax: this.#settings.lineBytesMax,
          ...handlers,
        }),
      );
      this.#phase = { kind: 'starting', backend };
      if (this.#closing) await backend.close();
      await backend.initialize(VERSION);
      this.#phase = { kind: 'started', backend };
    } catch (cause) {
      this.#phase = { kind: 'failed' };
      await this.#removeHome();
      if (turnFailureOf(cause) !== null) throw cause;
      const why = (cause as Error).message;
      throw turnError('backend_start_failed', `Codex could not be started: ${why}`, { cause });
    }
  }

  async #close(): Promise<void> {
    // A start that is under way is broken off. That it failed is told to whoever started.
    if (this.#phase.kind === 'starting') await this.#phase.backend?.close();
    await this.#starting?.catch(() => undefined);
    const phase = this.#phase;
    this.#phase = { kind: 'closed' };
    this.#runners.clear();
    if (phase.kind === 'started') await phase.backend.close();
    await this.#removeHome();
  }

  #backend(): Backend {
    const phase = this.#phase;
    switch (phase.kind) {
      case 'started':
        if (phase.backend.lost.aborted) break;
        return phase.backend;
      case 'new':
      case 'starting':
        throw turnError('backend_not_started', 'start the factory before you use it');
      case 'closed':
        throw turnError('backend_closed', 'the Codex backend was closed: make a new factory');
      case 'failed':
        break;
    }
    throw turnError('backend_invalid', 'the Codex backend is lost: make a new factory');
  }

  async #home(): Promise<string> {
    const { home } = this.#settings;
    if (home === undefined) return (this.#privateHome = await makeHome());
    await mkdir(home, { recursive: true, mode: 0o700 });
    return home;
  }

  async #removeHome(): Promise<void> {
    const home = this.#privateHome;
    this.#privateHome = null;
    if (home !== null) await removeHome(home);
  }
}

/**
 * Makes a factory and starts it.
 *
 * @throws ParleyError `backend_start_failed`; `invalid_argument`.
 * @example
 * await using factory = await startCodex({ home: join(homedir(), '.codex') }); // with the login that is there
 * const runner = await factory.runner({ workingDirectory: process.cwd() });
 */
export async function startCodex(options: CodexOptions = {}): Promise<CodexSessionFactory> {
  const factory = new CodexSessionFactory(options);
  await factory.start();
  return factory;
}
