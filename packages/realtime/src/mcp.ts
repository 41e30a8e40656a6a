// Tools of MCP servers that run beside the session. Any client of the Model Context Protocol fits: what is asked of it is
// to list and to call.

import { ParleyError } from '@parley/core';
import { type RealtimeTool, tool } from './tool.ts';

export interface MCPToolInfo {
  name: string;
  description?: string | undefined;
  inputSchema: Record<string, unknown>;
}

/** A server of tools, as a session uses it. */
export interface MCPServer {
  readonly name: string;
  /** Called once before the first list. */
  connect?(): Promise<void>;
  listTools(): Promise<readonly MCPToolInfo[]>;
  /** What the tool answered, as text or as something with a JSON form. Throws when the tool failed. */
  callTool(name: string, input: Record<string, unknown>, options: { signal: AbortSignal }): Promise<unknown>;
  /** Tells that the list has changed. Returns what ends the telling. */
  onToolsChanged?(listener: () => void): () => void;
  /** Called when the session ends, if the session connected it. */
  close?(): Promise<void>;
}

/** As much as is needed of the `Client` of the official SDK, whichever version it is. */
export interface MCPClient {
  listTools(params?: { cursor?: string }): Promise<{ tools: readonly MCPToolInfo[]; nextCursor?: string | undefined }>;
  callTool(
    params: { name: string; arguments?: Record<string, unknown> },
    schema?: undefined,
    options?: { signal?: AbortSignal },
  ): Promise<Record<string, unknown>>;
}

const PAGES_MAX = 64;

/**
 * The tools of a connected MCP client.
 *
 * @example
 * const client = new Client({ name: 'desk', version: '1.0.0' });
 * await client.connect(transport);
 * const agent = new RealtimeAgent({ name: 'desk', mcpServers: [mcpServer('orders', client)] });
 */
export function mcpServer(name: string, client: MCPClient): MCPServer {
  return {
    name,
    async listTools() {
      const tools: MCPToolInfo[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PAGES_MAX; page++) {
        const answer = await client.listTools(cursor === undefined ? {} : { cursor });
        tools.push(...answer.tools);
        cursor = answer.nextCursor;
        if (cursor === undefined) return tools;
      }
      throw new ParleyError(
        'resource_exhausted',
        `MCP server '${name}' lists its tools on more than ${PAGES_MAX} pages`,
      );
    },
    async callTool(toolName, input, { signal }) {
      const answer = await client.callTool({ name: toolName, arguments: input }, undefined, { signal });
      const content = Array.isArray(answer['content']) ? (answer['content'] as Record<string, unknown>[]) : [];
      const texts = content.filter((part) => part['type'] === 'text').map((part) => String(part['text']));
      if (answer['isError'] === true)
        throw new ParleyError('unknown', texts.join('\n') || `MCP tool '${toolName}' failed`);
      if (answer['structuredContent'] !== undefined) return answer['structuredContent'];
      // Images and sound cannot be an output of a call; the model is told that they were there.
      const others = content.filter((part) => part['type'] !== 'text').map((part) => `[${String(part['type'])}]`);
      return [...texts, ...others].join('\n');
    },
  };
}

/** The tools of a server as those of an agent. */
export async function mcpTools(server: MCPServer): Promise<RealtimeTool[]> {
  const listed = await server.listTools();
  return listed.map(({ name, description, inputSchema }) =>
    tool({
      name,
      description: description ?? '',
      parameters: inputSchema,
      execute: (input, { signal }) => server.callTool(name, input as Record<string, unknown>, { signal }),
    }),
  );
}
