// An agent: what the model is told to be, and what it may do.

import { ParleyError } from '@parley/core';
import type { MaybePromise, RunContext } from './context.ts';
import type { RealtimeInputGuardrail, RealtimeOutputGuardrail } from './guard/guardrail.ts';
import type { Handoff } from './handoff.ts';
import type { HostedMCPTool } from './hosted-mcp.ts';
import type { MCPServer } from './mcp.ts';
import type { RealtimeTool } from './tool.ts';

/** Called by the session at these moments. One that throws is told as an `error` event, and nothing waits for it. */
export interface AgentHooks<C = unknown> {
  onStart?(context: RunContext<C>, agent: RealtimeAgent<C>): MaybePromise<void>;
  onEnd?(context: RunContext<C>, agent: RealtimeAgent<C>, output: string): MaybePromise<void>;
  /** On the agent that takes over. */
  onHandoff?(context: RunContext<C>, agent: RealtimeAgent<C>, source: RealtimeAgent<C>): MaybePromise<void>;
  onToolStart?(context: RunContext<C>, agent: RealtimeAgent<C>, tool: RealtimeTool): MaybePromise<void>;
  onToolEnd?(context: RunContext<C>, agent: RealtimeAgent<C>, tool: RealtimeTool, result: string): MaybePromise<void>;
}

export interface RealtimeAgentOptions<C = unknown> {
  name: string;
  /** Text, or what makes it for a run; it is made again whenever this agent takes over. */
  instructions?: string | ((context: RunContext<C>) => MaybePromise<string>);
  /** Functions of this process, and servers of tools that the provider calls by itself. */
  tools?: readonly (RealtimeTool | HostedMCPTool)[];
  /** Agents that this one may hand the conversation to. A function, where two name each other. */
  handoffs?: readonly (RealtimeAgent<C> | Handoff<C>)[] | (() => readonly (RealtimeAgent<C> | Handoff<C>)[]);
  /** What the model is told of this agent where it may hand over to it. */
  handoffDescription?: string;
  /** Voices cannot change once a connection has sounded: after that the one that was heard goes on. */
  voice?: string;
  mcpServers?: readonly MCPServer[];
  hooks?: AgentHooks<C>;
  outputGuardrails?: readonly RealtimeOutputGuardrail<C>[];
  inputGuardrails?: readonly RealtimeInputGuardrail<C>[];
  /** A stored prompt of the provider, by its id, or what chooses it. */
  prompt?: StoredPrompt | ((context: RunContext<C>) => MaybePromise<StoredPrompt>);
}

export interface StoredPrompt {
  promptId: string;
  version?: string;
  variables?: Record<string, unknown>;
}

/**
 * An agent of a realtime session.
 *
 * @typeParam C the context that tools, instructions and guardrails are given.
 * @example
 * const agent = new RealtimeAgent({ name: 'greeter', instructions: 'Greet the caller.', voice: 'marin' });
 */
export class RealtimeAgent<C = unknown> {
  readonly name: string;
  readonly instructions: NonNullable<RealtimeAgentOptions<C>['instructions']>;
  readonly tools: readonly (RealtimeTool | HostedMCPTool)[];
  readonly handoffDescription: string;
  readonly voice: string | undefined;
  readonly mcpServers: readonly MCPServer[];
  readonly hooks: AgentHooks<C>;
  readonly outputGuardrails: readonly RealtimeOutputGuardrail<C>[];
  readonly inputGuardrails: readonly RealtimeInputGuardrail<C>[];
  readonly prompt: RealtimeAgentOptions<C>['prompt'];
  readonly #handoffs: NonNullable<RealtimeAgentOptions<C>['handoffs']>;

  constructor(options: RealtimeAgentOptions<C>) {
    if (typeof options.name !== 'string' || options.name.trim() === '') {
      throw new ParleyError('invalid_argument', 'an agent must have a name');
    }
    this.name = options.name;
    this.instructions = options.instructions ?? '';
    this.tools = options.tools ?? [];
    this.#handoffs = options.handoffs ?? [];
    this.handoffDescription = options.handoffDescription ?? '';
    this.voice = options.voice;
    this.mcpServers = options.mcpServers ?? [];
    this.hooks = options.hooks ?? {};
    this.outputGuardrails = options.outputGuardrails ?? [];
    this.inputGuardrails = options.inputGuardrails ?? [];
    this.prompt = options.prompt;
  }

  get handoffs(): readonly (RealtimeAgent<C> | Handoff<C>)[] {
    return typeof this.#handoffs === 'function' ? this.#handoffs() : this.#handoffs;
  }
}
