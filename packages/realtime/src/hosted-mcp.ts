// Tools of an MCP server that the provider calls by itself. What stays here is the yes or no to a call, and the answer that
// the model is asked for when one is over.

import { ParleyError } from '@parley/core';
import type { MaybePromise, RunContext } from './context.ts';
import type { ToolApprovalItem } from './events.ts';

export interface HostedMCPToolOptions<C = unknown> {
  /** How the model and the events name the server: unique in its agent. */
  serverLabel: string;
  /** Where the provider finds the server; or a connector of its own, by `connectorId`. */
  serverUrl?: string;
  connectorId?: string;
  serverDescription?: string;
  /** OAuth token for the server. The provider is given it and nobody else: it is in no event and no log. */
  authorization?: string;
  headers?: Record<string, string>;
  /** Names of the tools that the model may see. Absent: all. */
  allowedTools?: readonly string[];
  /** Which calls wait for a yes. Default `always`. */
  requireApproval?: 'always' | 'never' | { always?: readonly string[]; never?: readonly string[] };
  /**
   * Says yes or no where nobody needs to be asked; undefined asks by `tool_approval_requested`. One that throws asks too.
   */
  onApproval?(
    context: RunContext<C>,
    request: ToolApprovalItem,
  ): MaybePromise<boolean | { approve: boolean; reason?: string } | undefined>;
}

/** A server of tools at the provider, ready to be given to agents. Make one with {@link hostedMcpTool}. */
export interface HostedMCPTool {
  readonly type: 'hosted_mcp';
  readonly serverLabel: string;
  /** As the provider is told; not part of what is documented. */
  readonly wire: Readonly<Record<string, unknown>>;
  readonly onApproval: HostedMCPToolOptions['onApproval'];
}

/** Providers that call MCP servers by themselves. */
const HOSTS: ReadonlySet<string> = new Set(['openai', 'azure_openai', 'openai_compatible']);
const LABEL = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

/**
 * Declares tools that the provider gets from an MCP server and calls there, without a way through this process.
 *
 * @throws ParleyError `invalid_argument` without exactly one of `serverUrl` and `connectorId`, or for a label that is none.
 * @example
 * const docs = hostedMcpTool({ serverLabel: 'docs', serverUrl: 'https://docs.example/mcp', requireApproval: 'never' });
 * const agent = new RealtimeAgent({ name: 'desk', tools: [docs] });
 */
export function hostedMcpTool<C = unknown>(options: HostedMCPToolOptions<C>): HostedMCPTool {
  const { serverLabel, serverUrl, connectorId, allowedTools, requireApproval = 'always' } = options;
  if (!LABEL.test(serverLabel)) {
    throw new ParleyError(
      'invalid_argument',
      `serverLabel must begin with a letter and have at most 64 of A-Z a-z 0-9 _ -, got '${serverLabel.slice(0, 80)}'`,
    );
  }
  if ((serverUrl === undefined) === (connectorId === undefined)) {
    throw new ParleyError('invalid_argument', `MCP server '${serverLabel}' needs either a serverUrl or a connectorId`);
  }
  const { serverDescription, authorization, headers } = options;
  return {
    type: 'hosted_mcp',
    serverLabel,
    wire: {
      type: 'mcp',
      server_label: serverLabel,
      ...(serverUrl === undefined ? { connector_id: connectorId } : { server_url: serverUrl }),
      ...(serverDescription === undefined ? {} : { server_description: serverDescription }),
      ...(authorization === undefined ? {} : { authorization }),
      ...(headers === undefined ? {} : { headers }),
      ...(allowedTools === undefined ? {} : { allowed_tools: allowedTools }),
      require_approval: approvalOf(requireApproval),
    },
    onApproval: options.onApproval?.bind(options) as HostedMCPToolOptions['onApproval'],
  };
}

/** @throws ParleyError `failed_precondition` where the provider calls no MCP servers. */
export function checkHosts(provider: string, hosted: readonly HostedMCPTool[]): void {
  const [first] = hosted;
  if (!first || HOSTS.has(provider)) return;
  throw new ParleyError(
    'failed_precondition',
    `provider '${provider}' calls no MCP servers by itself: connect to '${first.serverLabel}' with mcpServers instead`,
    { details: { expected: [...HOSTS], got: provider } },
  );
}

function approvalOf(required: NonNullable<HostedMCPToolOptions['requireApproval']>): unknown {
  if (typeof required === 'string') return required;
  const { always, never } = required;
  return {
    ...(always === undefined ? {} : { always: { tool_names: always } }),
    ...(never === undefined ? {} : { never: { tool_names: never } }),
  };
}
