// One process of an agent. Its link may be cut and come back; its work and its handlers are kept here and not in the
// link.

import type { ServerFrameOf } from '@parley/core';
import type { AgentLink } from './link.ts';
import type { Registration } from './registration.ts';
import type { Deadline } from './deadlines.ts';
import type { Instance } from './work.ts';
import type { Requests } from './requests.ts';

/** A handler that an instance was asked to run. */
export interface Handling {
  readonly name: string;
  /** The session was closed, which may be before its handler has returned. */
  closed: boolean;
  /** What it was asked with, until it shows that it was heard. An open that a cut link took with it is said again. */
  unheard: Omit<ServerFrameOf<'session.open'>, 'type'> | null;
}

export class AgentInstance implements Instance {
  registration: Registration;
  link: AgentLink | null = null;
  readonly executions = new Set<string>();
  readonly parked = new Set<string>();
  /** Handlers that it runs, by the id of their sessions. */
  readonly sessions = new Map<string, Handling>();
  readonly requests: Requests;
  /** Work that it said it has from elsewhere (other servers), as of its last heartbeat. */
  foreign = { executions: 0, sessions: 0 };
  /** Number of its latest placement. */
  placed = 0;
  /** Runs while its link is gone. */
  resume: Deadline | null = null;

  constructor(registration: Registration, requests: Requests) {
    this.registration = registration;
    this.requests = requests;
  }

  get agent(): string {
    return this.registration.agent;
  }

  get instance_id(): string {
    return this.registration.instance_id;
  }

  get connected(): boolean {
    return this.link?.state.kind === 'up';
  }

  get draining(): boolean {
    return this.link?.state.kind === 'up' && this.link.state.draining;
  }

  /** Has something that is worth waiting for when its link is cut. */
  get busy(): boolean {
    return this.executions.size > 0 || this.sessions.size > 0;
  }

  /** It said something of this session: it has it. */
  heard(session_id: string): void {
    const handling = this.sessions.get(session_id);
    if (handling) handling.unheard = null;
  }

  /** What counts against a capacity. */
  count(work: 'executions' | 'sessions'): number {
    return work === 'executions' ? this.executions.size - this.parked.size : this.sessions.size;
  }

  dispatch(frame: string): void {
    this.link?.sendText(frame);
  }

  cancel(execution_id: string, reason: string): void {
    this.link?.send({ type: 'execution.cancel', execution_id, reason });
  }

  settled(execution_id: string): void {
    this.link?.sendText(`{"type":"execution.settled","execution_id":${JSON.stringify(execution_id)}}`);
  }

  /** What it reports beyond what this server gave it. */
  report(load: { executions: number; sessions: number }): void {
    this.foreign = {
      executions: Math.max(0, load.executions - this.executions.size),
      sessions: Math.max(0, load.sessions - this.sessions.size),
    };
  }
}
