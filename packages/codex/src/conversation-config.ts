// What Codex is told when a conversation begins. It goes over stdin, so keys may stand in it.

import { turnError, type CheckedAgentConfig, type HostFunction } from '@parley/turns';
import type { CodexSettings, McpServer } from './options.ts';
import { asObject, type Params } from './rpc.ts';

/**
 * Parameters of `thread/start` and `thread/resume`.
 * @throws ParleyError `invalid_argument` when the agent names an MCP server that the backend has not.
 */
export function conversationParams(config: CheckedAgentConfig, settings: CodexSettings): Params {
  const { approval } = config;
  return {
    cwd: config.workingDirectory,
    sandbox: config.sandbox,
    // auto-review is on-request with a model as the one who is asked.
    approvalPolicy: approval === 'auto-review' ? 'on-request' : approval,
    approvalsReviewer: approval === 'auto-review' ? 'auto_review' : 'user',
    ...(config.model !== undefined && { model: config.model }),
    ...(config.provider !== undefined && { modelProvider: config.provider }),
    ...(config.baseInstructions !== undefined && { baseInstructions: config.baseInstructions }),
    ...(config.developerInstructions !== undefined && { developerInstructions: config.developerInstructions }),
    config: {
      ...providerSecrets(config, settings),
      ...(config.reasoningEffort !== undefined && { model_reasoning_effort: config.reasoningEffort }),
      ...mcpServers(config, settings),
    },
  };
}

/** Switches off the MCP servers that the config of a home brings along: what an agent has is what its caller said. */
export function withoutOthers(params: Params, found: readonly string[], settings: CodexSettings): Params {
  const others = found.filter((name) => !Object.hasOwn(settings.mcpServers, name));
  const off = Object.fromEntries(others.map((name) => [`mcp_servers.${name}.enabled`, false]));
  return { ...params, config: { ...asObject(params['config']), ...off } };
}

/** Functions of the host as tools. */
export function dynamicTools(functions: readonly HostFunction[]): Params[] {
  return functions.map(({ name, description, inputSchema }) => ({ type: 'function', name, description, inputSchema }));
}

function providerSecrets(config: CheckedAgentConfig, settings: CodexSettings): Params {
  const id = config.provider ?? settings.providers[0]?.id;
  const provider = settings.providers.find((one) => one.id === id);
  if (!provider) return {};
  const at = `model_providers.${provider.id}`;
  return {
    ...(provider.key !== undefined && { [`${at}.experimental_bearer_token`]: provider.key }),
    ...(provider.headers !== undefined && { [`${at}.http_headers`]: provider.headers }),
  };
}

function mcpServers({ tools }: CheckedAgentConfig, settings: CodexSettings): Params {
  const known = Object.keys(settings.mcpServers);
  for (const server of Object.keys(tools ?? {})) {
    if (!known.includes(server)) {
      const list = known.length > 0 ? `it has: ${known.join(', ')}` : 'it has none';
      throw turnError('invalid_argument', `tools names an MCP server '${server}' that this backend has not; ${list}`);
    }
  }
  const used = Object.entries(settings.mcpServers).filter(
    ([name]) => tools === undefined || Object.hasOwn(tools, name),
  );
  return Object.fromEntries(used.map(([name, server]) => [`mcp_servers.${name}`, serverParams(server, tools?.[name])]));
}

/** Milliseconds that a server may take to start. */
export function startupMsOf({ startupTimeoutMs }: McpServer): number {
  return startupTimeoutMs ?? 10_000;
}

function serverParams(server: McpServer, tools: readonly string[] | undefined): Params {
  const { command, args, env, url, headers, toolTimeoutMs, required, writes } = server;
  return {
    ...(command !== undefined && { command, args: args ?? [], env: env ?? {} }),
    ...(url !== undefined && { url, ...(headers !== undefined && { http_headers: headers }) }),
    startup_timeout_sec: startupMsOf(server) / 1000,
    tool_timeout_sec: (toolTimeoutMs ?? 60_000) / 1000,
    ...(required !== undefined && { required }),
    ...(writes === 'always' && { default_tools_approval_mode: 'approve' }),
    ...(tools !== undefined && { enabled_tools: tools }),
  };
}
