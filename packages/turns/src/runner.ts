// The port: what a caller of turn-based agents sees, whoever is behind it.

import type { JsonSchema } from '@parley/core';
import type { AgentConfig, CheckedAgentConfig } from './config.ts';

/** One thing that the agent did: it thought, ran a command, changed files, called a tool, said something. */
export interface AgentTurnEvent {
  /** What it was, in the words of the backend: `commandExecution`, `agentMessage`, … New ones may come. */
  readonly kind: string;
  /** One line for a person, at most 200 characters. */
  readonly summary: string;
  /** What the backend told about it, without empty fields; long texts are cut. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Tokens of one turn. */
export interface AgentTurnUsage {
  readonly inputTokens: number;
  /** Part of the input that the provider had cached. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** Part of the output that was thinking. */
  readonly reasoningTokens: number;
}

export interface AgentTurnResult {
  /** The final answer; empty when the agent ended without one. */
  readonly assistantText: string;
  /** In order. Past the limit of the adapter the last one says how many are not there. */
  readonly events: readonly AgentTurnEvent[];
  /** The answer as JSON that fits `outputSchema`; there only when one was given. */
  readonly structured?: unknown;
  readonly usage?: AgentTurnUsage;
}

/** What belongs to one turn. */
export interface TurnOptions {
  /** From the call to the result, the start of the conversation included. Default 600. */
  timeoutSeconds?: number | undefined;
  /**
   * A JSON Schema of an object, in strict form: every object closed with all its fields required. The answer is parsed
   * and checked here, whatever the backend promises.
   */
  outputSchema?: JsonSchema | undefined;
  /** Interrupts the turn. */
  signal?: AbortSignal | undefined;
  /** Each event of the result as it comes. What it throws ends the turn. */
  onEvent?: ((event: AgentTurnEvent) => void) | undefined;
  /** What is going on besides: something began, a provider is retried, an approval was asked for. What it throws ends the turn. */
  onProgress?: ((event: AgentTurnEvent) => void) | undefined;
}

/**
 * One conversation with one agent. It begins with the first turn and goes on with every later one; what was said stays.
 */
export interface AgentRunner extends AsyncDisposable {
  readonly config: CheckedAgentConfig;
  /** How the backend calls the conversation; null before it began. */
  readonly conversationId: string | null;
  /**
   * Runs one turn to its end. One at a time: also while an interrupted one is cleaned up.
   *
   * @throws ParleyError whose `details.reason` is one of `AgentTurnFailureReason`. After `timeout`, `aborted`,
   * `turn_failed`, `interrupted`, `rejected`, `concurrent_turn` and `output_invalid` the runner can be used again; after
   * `backend_invalid` and `backend_closed` no runner of the factory can.
   * @example
   * const { assistantText } = await runner.turn('Make the tests pass.', { timeoutSeconds: 300 });
   */
  turn(prompt: string, options?: TurnOptions): Promise<AgentTurnResult>;
  /** Ends the conversation for good, with a turn that runs, and frees what the backend holds for it. */
  dispose(): Promise<void>;
}

/** A function of the host that the agent may call as a tool. It runs here, not in the backend. */
export interface HostFunction {
  /** `^[A-Za-z_][A-Za-z0-9_-]{0,63}$`. */
  readonly name: string;
  /** What the model reads to decide whether to call it. */
  readonly description: string;
  /** JSON Schema of its input; what the model sends is checked against it first. */
  readonly inputSchema: JsonSchema;
  /**
   * Its answer is given to the model: a text as it is, anything else as JSON. What it throws, the model is told.
   * `signal` is aborted when the turn ends.
   */
  readonly run: (input: unknown, options: { readonly signal: AbortSignal }) => unknown;
}

/** What belongs to one runner and is no data: see `AgentConfig` for what is. */
export interface RunnerOptions {
  /** Goes on with a conversation that another runner began, where the backend still has it. */
  conversationId?: string | undefined;
  functions?: readonly HostFunction[] | undefined;
}

/**
 * One backend, shared by every runner that it makes. It is started once and never again: after it was closed or lost, make a
 * new factory.
 *
 * @example
 * await using factory = await startCodex({ providers: [{ id: 'openai', baseUrl, key }] });
 * const runner = await factory.runner({ workingDirectory: '/srv/site' });
 * const { assistantText } = await runner.turn('What is this project?');
 */
export interface AgentSessionFactory extends AsyncDisposable {
  readonly state: BackendState;
  /** @throws ParleyError `backend_start_failed`; `failed_precondition` when it was started before. */
  start(): Promise<void>;
  /**
   * A runner of a conversation of its own. Nothing is sent before its first turn.
   * @throws ParleyError `invalid_argument`, `backend_not_started`, `backend_closed`, `backend_invalid`; `resource_exhausted`
   * past the limit of runners.
   */
  runner(config: AgentConfig, options?: RunnerOptions): Promise<AgentRunner>;
  /** Stops the backend and everything that it runs; turns that run end with `backend_closed`. Never rejects for a backend that is gone. */
  close(): Promise<void>;
}

/** `invalid`: lost, or in a state that nobody knows; `close` is all that is left. */
export type BackendState = 'new' | 'starting' | 'ready' | 'invalid' | 'closed';
