// What a caller says about the backend that all runners of a factory share.

import type { CheckedAgentConfig } from '@parley/turns';

/** Who runs the models: anything that speaks the Responses API. */
export interface CodexProvider {
  /** What `AgentConfig.provider` calls it: letters, digits, `_` and `-`. */
  readonly id: string;
  /** Default: the id. */
  readonly name?: string | undefined;
  /** Ends in `/v1`, usually. */
  readonly baseUrl: string;
  /** Sent as a bearer token. It goes to Codex over its stdin: it is in no environment, command line or file. */
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Tries of a request that failed. Default 4. Multiplied by the tries of its stream. */
  readonly requestRetriesMax?: number | undefined;
  /** Tries of a stream that broke. Default 5. */
  readonly streamRetriesMax?: number | undefined;
  /** Milliseconds without a word before a stream counts as broken. Default 300,000. */
  readonly streamIdleMs?: number | undefined;
  /** Default false: a provider that does not know them costs seven refused upgrades. */
  readonly websockets?: boolean | undefined;
}

/** An MCP server. Codex starts a copy of a stdio server for each conversation, in its working directory. */
export interface McpServer {
  /** The program of a stdio server. Either this or `url`. */
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** A streamable HTTP server. */
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default 10,000. */
  readonly startupTimeoutMs?: number | undefined;
  /** Default 60,000. */
  readonly toolTimeoutMs?: number | undefined;
  /** A conversation does not begin without it. Default false: it begins, and goes without. */
  readonly required?: boolean | undefined;
  /**
   * Whether tools that are not annotated as read-only run. `policy`: as the approval of the agent says, which is no under
   * `never`. `always`: they run unasked. Default `policy`.
   */
  readonly writes?: 'policy' | 'always' | undefined;
}

/** Something that Codex may not do by itself. */
export interface ApprovalRequest {
  readonly kind: 'command' | 'file_change' | 'mcp' | 'permissions' | 'input';
  /** One line for a person. */
  readonly summary: string;
  /** Why Codex asks, where it says so. */
  readonly reason: string | undefined;
  /** The agent that asks. */
  readonly config: CheckedAgentConfig;
  readonly conversationId: string;
  /** What Codex sent. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Aborted when the turn ends; an answer after that is not heard. */
  readonly signal: AbortSignal;
}

/**
 * `decline`: the model is told, and goes on. `interrupt`: the turn ends. `accept_for_session`: this, and the like for the
 * rest of the conversation. For `input` and `mcp`, `answers` are what is filled in.
 */
export type ApprovalDecision =
  | 'accept'
  | 'accept_for_session'
  | 'decline'
  | 'interrupt'
  | { readonly answers: Readonly<Record<string, unknown>> };

export interface CodexOptions {
  /** The binary itself. Default: the one of the package `@openai/codex`, in exactly the version that this adapter is made for. */
  codexPath?: string | undefined;
  /**
   * Where Codex keeps conversations and its own config. Default: a private folder that goes with the factory. A path
   * keeps conversations, so that `conversationId` works in another process, and uses the login and config that are there.
   */
  home?: string | undefined;
  /** The first one is the default of agents that name none. Without any, Codex uses its own, with the login of `home`. */
  providers?: readonly CodexProvider[] | undefined;
  /** For agents that name none. */
  model?: string | undefined;
  /** By name: letters, digits, `_` and `-`. Servers of the config in `home` are not used. */
  mcpServers?: Readonly<Record<string, McpServer>> | undefined;
  /** Asked before what an agent's approval leaves to the host. Default: everything is declined. */
  approve?: ((request: ApprovalRequest) => ApprovalDecision | Promise<ApprovalDecision>) | undefined;
  /** Further environment of Codex. Not that of commands, but one with full access can read it: no secrets. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Further environment of the commands that the model runs: no secrets. */
  toolEnv?: Readonly<Record<string, string>> | undefined;
  /** Further settings of Codex by dotted key, as in its config.toml. They stand on its command line: no secrets. */
  config?: Readonly<Record<string, string | number | boolean | readonly string[]>> | undefined;
  /** Methods that Codex calls experimental: host functions, and an orderly end of commands. Default true. */
  experimentalApi?: boolean | undefined;
  /** Commands that still run when a turn was completed: `end` ends them, `keep` leaves them to the next turn. Default `end`. */
  backgroundCommands?: 'end' | 'keep' | undefined;
  /** Milliseconds from the start of the process until it answers. Default 30,000. */
  startTimeoutMs?: number | undefined;
  /** Milliseconds that an interrupted turn may take to end before the whole backend is given up. Default 5000. */
  cleanUpMs?: number | undefined;
  /** Milliseconds for each step of stopping the process: end of input, SIGTERM, SIGKILL. Default 2000. */
  stopMs?: number | undefined;
  /** Runners that are not disposed of. Default 256. */
  runnersMax?: number | undefined;
  /** Events that one turn keeps. Default 1000. */
  eventsMax?: number | undefined;
  /** Characters of one text in the metadata of an event; the rest is cut. Default 16,384. */
  metadataCharsMax?: number | undefined;
  /** One message of Codex. Default 64 MiB; past it the backend is given up. */
  lineBytesMax?: number | undefined;
}

type Defaulted =
  | 'experimentalApi'
  | 'backgroundCommands'
  | 'startTimeoutMs'
  | 'cleanUpMs'
  | 'stopMs'
  | 'runnersMax'
  | 'eventsMax'
  | 'metadataCharsMax'
  | 'lineBytesMax'
  | 'providers'
  | 'mcpServers';

/** Options with every default filled in. */
export type CodexSettings = CodexOptions & { readonly [K in Defaulted]: NonNullable<CodexOptions[K]> };
