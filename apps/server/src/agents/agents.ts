// The registered agents, as the rest of the server sees them: who is there, what they offer, and who gets new work.
//
// P1  New work goes only to links that are up, not draining, and reading.

import type { AgentResource, FunctionDeclaration, SessionDeclaration } from '@parley/core';
import { ParleyError } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import { machineClock, type ServerClock } from './clock.ts';
import { AGENT_LIMITS, type AgentLimits } from './limits.ts';
import type { AgentLink } from './link.ts';
import { Links } from './links.ts';
import { homeOf, leastLoaded } from './placement.ts';
import type { AgentDirectory, HandlerLink, SessionHost } from './ports.ts';
import {
  type Caller,
  type ExecutionHost,
  type Instance,
  type Log,
  type Presence,
  quiet,
  type Workforce,
} from './work.ts';

export interface AgentsOptions {
  limits?: Partial<AgentLimits>;
  clock?: ServerClock;
  log?: Log;
}

export class Agents implements AgentDirectory, Workforce {
  readonly #limits: AgentLimits;
  readonly #clock: ServerClock;
  readonly #links: Links;

  constructor(options: AgentsOptions = {}) {
    this.#limits = { ...AGENT_LIMITS, ...options.limits };
    this.#clock = options.clock ?? machineClock;
    this.#links = new Links(this.#limits, this.#clock, options.log ?? quiet);
  }

  /** Names the parts that do what agents ask for. Before the first `accept`. */
  attach(executions: ExecutionHost, sessions: SessionHost): void {
    this.#links.attach(executions, sessions);
  }

  /** Takes a connection of subprotocol `parley.agent.v1` whose key was checked. Returns its link. */
  accept(socket: FrameSocket, info: { key_id?: string | undefined } = {}): AgentLink {
    return this.#links.accept(socket, info.key_id);
  }

  // What sessions and HTTP ask.

  session(agent: string, name: string): SessionDeclaration | undefined {
    return this.#links.agents.get(agent)?.session(name);
  }

  function(agent: string, name: string): FunctionDeclaration | undefined {
    return this.#links.agents.get(agent)?.function(name);
  }

  known(agent: string): boolean {
    return this.#links.agents.has(agent);
  }

  placeHandler(agent: string, name: string): HandlerLink | null {
    return (
      leastLoaded(this.#links.agents.get(agent)?.instances.values() ?? [], 'sessions', name, this.#limits)?.link ?? null
    );
  }

  /** Sessions of this target whose handlers run on an agent. */
  sessionsOpen(target: string): number {
    const dot = target.indexOf('.');
    let open = 0;
    for (const { sessions } of this.#links.agents.get(target.slice(0, dot))?.instances.values() ?? []) {
      for (const { name, closed } of sessions.values()) if (!closed && name === target.slice(dot + 1)) open += 1;
    }
    return open;
  }

  /** By name. */
  list(): AgentResource[] {
    const all = [...this.#links.agents.values()].map((entry) => entry.resource());
    return all.sort((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  get(agent: string): AgentResource | null {
    return this.#links.agents.get(agent)?.resource() ?? null;
  }

  /** Closes every link of an agent, or one of them. Returns how many. */
  disconnect(agent: string, reason: string, link_id?: string): number {
    let closed = 0;
    for (const { link } of this.#links.agents.get(agent)?.instances.values() ?? []) {
      if (!link || (link_id !== undefined && link.link_id !== link_id)) continue;
      this.#links.end(link, new ParleyError('aborted', reason));
      closed += 1;
    }
    return closed;
  }

  // What executions ask.

  presence(agent: string): Presence {
    const entry = this.#links.agents.get(agent);
    if (!entry) return 'unknown';
    if (entry.away_since === null) return 'connected';
    return this.#clock.now() - entry.away_since < this.#limits.resume_ms ? 'away' : 'gone';
  }

  remembered(agent: string, name: string): FunctionDeclaration | undefined {
    const entry = this.#links.agents.get(agent);
    return entry?.function(name) ?? entry?.last.functions.get(name);
  }

  place(agent: string, name: string, caller: Caller): Instance | null {
    const entry = this.#links.agents.get(agent);
    if (!entry) return null;
    return (
      leastLoaded(entry.instances.values(), 'executions', name, this.#limits) ??
      homeOf(entry.instances.values(), name, caller, this.#limits)
    );
  }

  // The end of the server.

  /** Tells every agent that the server is going, and takes no new link. */
  drain(deadline_ms: number): void {
    this.#links.drain(deadline_ms);
  }

  /** Closes every link. */
  close(): void {
    this.#links.close();
  }
}
