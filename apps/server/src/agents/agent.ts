// One agent by its name: the instances that are or were linked, and what they offer together.

import { type AgentResource, type FunctionDeclaration, newId, type SessionDeclaration } from '@parley/core';
import type { AgentInstance } from './instance.ts';
import type { Registration } from './registration.ts';

export class AgentEntry {
  readonly agent_id = newId('agent');
  readonly agent: string;
  /** Linked ones and those that are waited for, the newest registration last. */
  readonly instances = new Map<string, AgentInstance>();
  /** What is shown of an agent that is disconnected. */
  last: Registration;
  last_seen_ms: number;
  /** Monotonic time at which the last link went; null while there is one. */
  away_since: number | null = null;

  constructor(registration: Registration, last_seen_ms: number) {
    this.agent = registration.agent;
    this.last = registration;
    this.last_seen_ms = last_seen_ms;
  }

  get connected(): boolean {
    for (const instance of this.instances.values()) if (instance.connected) return true;
    return false;
  }

  /** As the newest instance that takes new work declares it. */
  session(name: string): SessionDeclaration | undefined {
    return this.#newest((registration) => registration.sessions.get(name));
  }

  function(name: string): FunctionDeclaration | undefined {
    return this.#newest((registration) => registration.functions.get(name));
  }

  #newest<T>(pick: (registration: Registration) => T | undefined): T | undefined {
    let found: T | undefined;
    for (const { link, registration } of this.instances.values()) {
      if (link?.state.kind === 'up' && !link.state.draining) found = pick(registration) ?? found;
    }
    return found;
  }

  registrations(): Registration[] {
    return [this.last, ...[...this.instances.values()].map((instance) => instance.registration)];
  }

  resource(): AgentResource {
    const links: AgentResource['links'] = [];
    let { last_seen_ms } = this;
    for (const { link, registration, executions, sessions } of this.instances.values()) {
      if (link?.state.kind !== 'up') continue;
      last_seen_ms = Math.max(last_seen_ms, Math.round(link.heard_at_ms));
      links.push({
        link_id: link.link_id,
        instance_id: registration.instance_id,
        sdk: registration.sdk,
        status: link.state.draining ? 'draining' : 'connected',
        connected_at_ms: link.connected_at_ms,
        executions: executions.size,
        sessions: sessions.size,
      });
    }
    const working = links.some((link) => link.status === 'connected');
    return {
      agent_id: this.agent_id,
      agent: this.agent,
      status: working ? 'connected' : links.length > 0 ? 'draining' : 'disconnected',
      links,
      sessions: [...this.last.sessions.values()],
      functions: [...this.last.functions.values()],
      last_seen_ms,
    };
  }
}
