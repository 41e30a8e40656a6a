// Who speaks, and with which tools. A snapshot is taken when an agent takes over; an answer keeps the one it began with.

import { ParleyError, type ResolvedTool } from '@parley/core';
import type { RealtimeAgent, StoredPrompt } from './agent.ts';
import type { RunContext } from './context.ts';
import { type Handoff, handoff } from './handoff.ts';
import type { HostedMCPTool } from './hosted-mcp.ts';
import { type MCPServer, mcpTools } from './mcp.ts';
import type { RealtimeTool } from './tool.ts';

/** What stands behind a name that the model may call. */
export type Bound =
  | { kind: 'tool'; agent: RealtimeAgent; tool: RealtimeTool; target: string }
  | { kind: 'handoff'; agent: RealtimeAgent; handoff: Handoff; target: string };

export interface Snapshot {
  readonly agent: RealtimeAgent;
  readonly instructions: string;
  readonly prompt: StoredPrompt | undefined;
  readonly resolved: ResolvedTool[];
  readonly bound: ReadonlyMap<string, Bound>;
  /** Servers of tools that the provider calls by itself. */
  readonly hosted: readonly HostedMCPTool[];
}

/** Answers whose snapshot is remembered. */
const ANSWERS_MAX = 64;
const NO_INPUT = { type: 'object', properties: {}, additionalProperties: false };

export class Roster {
  readonly #context: (agent: RealtimeAgent) => RunContext;
  readonly #mcp: McpTools;
  readonly #names = new Map<RealtimeAgent, string>();
  readonly #answers = new Map<string, Snapshot>();
  /** Who each agent may hand back to, because it was handed to with a way back. */
  readonly #back = new Map<RealtimeAgent, RealtimeAgent>();
  #current: Snapshot | null = null;

  constructor(context: (agent: RealtimeAgent) => RunContext, mcpChanged: (server: MCPServer, tools: string[]) => void) {
    this.#context = context;
    this.#mcp = new McpTools(mcpChanged);
  }

  get current(): Snapshot {
    if (!this.#current) throw new ParleyError('internal', 'no agent was chosen');
    return this.#current;
  }

  /** The agent takes over. */
  choose(snapshot: Snapshot): void {
    this.#current = snapshot;
  }

  wayBack(from: RealtimeAgent, to: RealtimeAgent): void {
    this.#back.set(from, to);
  }

  /** An answer begins: it keeps the tools of now. */
  begin(responseId: string): void {
    if (this.#answers.has(responseId)) return;
    if (this.#answers.size >= ANSWERS_MAX) {
      for (const oldest of this.#answers.keys()) if (this.#answers.delete(oldest)) break;
    }
    this.#answers.set(responseId, this.current);
  }

  /** The snapshot that an answer began with. */
  of(responseId: string | undefined): Snapshot {
    return (responseId === undefined ? undefined : this.#answers.get(responseId)) ?? this.current;
  }

  /**
   * What an agent is and may do now.
   * @throws ParleyError `invalid_argument` when two of its tools and handoffs have one name.
   */
  async snapshot(agent: RealtimeAgent): Promise<Snapshot> {
    const context = this.#context(agent);
    const { instructions, prompt } = agent;
    const bound = new Map<string, Bound>();
    const resolved: ResolvedTool[] = [];
    const put = (name: string, one: Bound, tool: Omit<ResolvedTool, 'name' | 'target' | 'kind'>): void => {
      if (bound.has(name)) {
        throw new ParleyError(
          'invalid_argument',
          `agent '${agent.name}' has two tools or handoffs with the name '${name}'`,
        );
      }
      bound.set(name, one);
      resolved.push({ name, target: one.target, kind: 'skill', ...tool });
    };
    const tools = agent.tools.filter((one) => one.type === 'function');
    const hosted = agent.tools.filter((one) => one.type === 'hosted_mcp');
    const twice = hosted.find((one, at) => hosted.findIndex((other) => other.serverLabel === one.serverLabel) !== at);
    if (twice) {
      throw new ParleyError(
        'invalid_argument',
        `agent '${agent.name}' has two MCP servers labelled '${twice.serverLabel}'`,
      );
    }
    for (const server of agent.mcpServers) tools.push(...(await this.#mcp.of(server)));
    const usable = await Promise.all(tools.map(async (tool) => tool.internal.isEnabled(context)));
    for (const [at, tool] of tools.entries()) {
      if (!usable[at]) continue;
      const { name, description, parameters, timeoutMs, onInterrupt } = tool;
      put(
        name,
        { kind: 'tool', agent, tool, target: this.#target(agent, name) },
        {
          description,
          input_schema: parameters,
          on_interrupt: onInterrupt === 'cancel' ? 'cancel' : 'finish',
          ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
        },
      );
    }
    for (const one of await this.#handoffs(agent, context)) {
      put(
        one.toolName,
        { kind: 'handoff', agent, handoff: one, target: this.#target(agent, one.toolName) },
        { description: one.toolDescription, input_schema: one.inputType?.json ?? NO_INPUT },
      );
    }
    return {
      agent,
      instructions: typeof instructions === 'function' ? await instructions(context) : instructions,
      prompt: typeof prompt === 'function' ? await prompt(context) : prompt,
      resolved,
      bound,
      hosted,
    };
  }

  close(): Promise<void> {
    return this.#mcp.close();
  }

  async #handoffs(agent: RealtimeAgent, context: RunContext): Promise<Handoff[]> {
    const all = agent.handoffs.map((one) => ('toolName' in one ? one : handoff(one)));
    const back = this.#back.get(agent);
    if (back && !all.some((one) => one.agent === back)) all.push(handoff(back));
    const usable = await Promise.all(all.map(async (one) => one.isEnabled(context)));
    return all.filter((_, at) => usable[at]);
  }

  /** Two agents may have one name; a target is of one of them. */
  #target(agent: RealtimeAgent, name: string): string {
    let own = this.#names.get(agent);
    if (own === undefined) {
      const same = [...this.#names.keys()].filter((other) => other.name === agent.name).length;
      own = same === 0 ? agent.name : `${agent.name}#${same + 1}`;
      this.#names.set(agent, own);
    }
    return `${own}.${name}`;
  }
}

/** The tools of MCP servers, listed once until they say that their list has changed. */
class McpTools {
  readonly #changed: (server: MCPServer, tools: string[]) => void;
  readonly #servers = new Map<MCPServer, { tools: Promise<RealtimeTool[]>; stop: (() => void) | undefined }>();

  constructor(changed: (server: MCPServer, tools: string[]) => void) {
    this.#changed = changed;
  }

  async of(server: MCPServer): Promise<RealtimeTool[]> {
    const known = this.#servers.get(server);
    if (known) return known.tools;
    const tools = (async () => {
      await server.connect?.();
      return mcpTools(server);
    })();
    const stop = server.onToolsChanged?.(() => {
      const entry = this.#servers.get(server);
      if (!entry) return;
      entry.tools = mcpTools(server);
      entry.tools.then(
        (list) =>
          this.#changed(
            server,
            list.map(({ name }) => name),
          ),
        // Whoever asks for them next is told.
        () => this.#servers.delete(server),
      );
    });
    this.#servers.set(server, { tools, stop });
    try {
      return await tools;
    } catch (error) {
      this.#servers.delete(server);
      stop?.();
      throw new ParleyError(
        'unavailable',
        `MCP server '${server.name}' could not be used: ${ParleyError.from(error).message}`,
        {
          cause: error,
          details: { boundary: 'session -> mcp server' },
        },
      );
    }
  }

  async close(): Promise<void> {
    const servers = [...this.#servers];
    this.#servers.clear();
    for (const [, { stop }] of servers) stop?.();
    await Promise.allSettled(servers.map(async ([server]) => server.close?.()));
  }
}
