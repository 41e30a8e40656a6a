// The lives of the agent links. A link is a record of where it stands (link.ts); every change of it is made here:
//
//   joining --agent.register--> up --agent.drain--> up, draining --close--> closed
//
// P1  An instance has at most one link. Registering again replaces the older one.
// P2  What a cut link leaves behind waits `resume_ms` for the same instance, and for nobody else.

import { type AgentFrame, type AgentFrameOf, ParleyError, type ServerFrameOf } from '@parley/core';
import type { FrameClose, FrameSocket } from '@parley/transport';
import { AgentEntry } from './agent.ts';
import type { ServerClock } from './clock.ts';
import { Deadlines } from './deadlines.ts';
import { AgentInstance } from './instance.ts';
import type { AgentLimits } from './limits.ts';
import { AgentLink, type LinkOwner } from './link.ts';
import type { SessionHost } from './ports.ts';
import { readRegistration, type Registration } from './registration.ts';
import { Requests } from './requests.ts';
import type { ExecutionHost, Log } from './work.ts';

/** Close codes of an agent that leaves: done, going away, or none given. */
const LEAVING: ReadonlySet<number> = new Set([1000, 1001, 1005]);

interface Hosts {
  executions: ExecutionHost;
  sessions: SessionHost;
}

export class Links {
  /** By name; those that are disconnected stay for a while. */
  readonly agents = new Map<string, AgentEntry>();
  readonly #limits: AgentLimits;
  readonly #clock: ServerClock;
  readonly #log: Log;
  readonly #deadlines: Deadlines;
  readonly #links = new Map<string, AgentLink>();
  #draining = false;
  #hosts: Hosts | null = null;

  constructor(limits: AgentLimits, clock: ServerClock, log: Log) {
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
    this.#deadlines = new Deadlines(clock);
  }

  attach(executions: ExecutionHost, sessions: SessionHost): void {
    this.#hosts = { executions, sessions };
  }

  accept(socket: FrameSocket, key_id: string | undefined): AgentLink {
    const link = new AgentLink(socket, this.#owner, this.#limits, this.#clock);
    this.#links.set(link.link_id, link);
    this.#log.info({ link_id: link.link_id, key_id }, 'agent link opened');
    if (this.#links.size > this.#limits.links_max) {
      link.close(limit(`the server is at its limit of ${this.#limits.links_max} agent links`, this.#limits.links_max));
    } else if (this.#draining) {
      link.close(new ParleyError('unavailable', 'the server is draining'));
    } else this.#watch(link, this.#limits.register_ms);
    return link;
  }

  /** Tells every agent that the server is going, and takes no new link. */
  drain(deadline_ms: number): void {
    this.#draining = true;
    for (const link of this.#links.values()) {
      if (link.state.kind === 'up') link.send({ type: 'server.drain', deadline_ms });
      else link.close(new ParleyError('unavailable', 'the server is draining'));
    }
  }

  /** Closes every link. */
  close(): void {
    for (const link of this.#links.values()) link.leave();
    this.#deadlines.clear();
  }

  readonly #owner: LinkOwner = {
    frame: (link, frame, bytes) => this.#frame(link, frame, bytes),
    closed: (link, close) => this.#closed(link, close),
    drained: (link) => {
      if (link.state.kind === 'up') this.#to.executions.available(link.state.instance.agent);
    },
    opened: (link, frame) => this.#opened(link, frame),
  };

  get #to(): Hosts {
    if (!this.#hosts) throw new ParleyError('internal', 'agents were not attached to executions and sessions');
    return this.#hosts;
  }

  /** Looks at the link in `ms`: it must have registered by then, and from then on must not be silent for a lease. */
  #watch(link: AgentLink, ms: number): void {
    this.#deadlines.add(ms, () => {
      const { kind } = link.state;
      if (kind === 'closed' || kind === 'closing') return;
      if (kind === 'joining') {
        const message = `no agent.register within ${this.#limits.register_ms} ms`;
        this.end(link, new ParleyError('deadline_exceeded', message));
        return;
      }
      const left = link.heard + this.#limits.lease_ms - this.#clock.now();
      if (left > 0) this.#watch(link, left);
      else {
        const message = `nothing was heard for ${this.#limits.lease_ms} ms; a heartbeat is due every ${this.#limits.heartbeat_ms} ms`;
        this.end(link, new ParleyError('deadline_exceeded', message));
      }
    });
  }

  #frame(link: AgentLink, frame: AgentFrame, bytes: number): void {
    if (link.state.kind === 'joining') {
      if (frame.type === 'agent.register') this.#register(link, frame);
      else {
        const message = `the first frame must be agent.register, got ${frame.type}`;
        this.end(link, new ParleyError('failed_precondition', message));
      }
      return;
    }
    if (link.state.kind !== 'up') return;
    const { instance } = link.state;
    switch (frame.type) {
      case 'agent.register':
        throw new ParleyError('failed_precondition', 'this link is registered; open another to register again');
      case 'agent.heartbeat':
        instance.report(frame.load);
        link.forgive();
        link.send({ type: 'agent.alive' });
        this.#to.executions.available(instance.agent);
        return;
      case 'agent.drain':
        link.state.draining = true;
        this.#log.info({ link_id: link.link_id, agent: instance.agent }, 'agent drains');
        return;
      case 'execution.accepted':
        this.#to.executions.accepted(instance, frame.execution_id);
        return;
      case 'execution.result':
        this.#to.executions.result(instance, frame, bytes);
        return;
      case 'execution.note':
        this.#to.executions.noted(instance, frame);
        return;
      case 'session.handled':
        // A handler may return after its session was given up, here or by a restart.
        if (instance.sessions.delete(frame.session_id)) this.#to.sessions.handled(frame.session_id, frame.error);
        return;
      default:
        if ('session_id' in frame && frame.session_id !== undefined) instance.heard(frame.session_id);
        instance.requests.take(instance, frame, (reply) => link.sendText(reply));
    }
  }

  #register(link: AgentLink, frame: AgentFrameOf<'agent.register'>): void {
    let entry = this.agents.get(frame.agent);
    let registration: Registration;
    try {
      registration = readRegistration(frame, entry?.registrations());
      if (!entry) this.#makeRoom();
    } catch (error) {
      this.end(link, ParleyError.from(error, 'internal'));
      return;
    }
    if (!entry) {
      entry = new AgentEntry(registration, this.#clock.wall());
      this.agents.set(frame.agent, entry);
    }
    const known = entry.instances.get(registration.instance_id);
    if (known?.link) {
      const message = `instance ${registration.instance_id} registered again over another link`;
      // Not retryable: two processes with one instance_id would otherwise take turns for ever. P1
      this.end(known.link, new ParleyError('aborted', message, { retryable: false }));
    }
    const instance =
      known ??
      new AgentInstance(registration, new Requests(this.#to.executions, this.#to.sessions, this.#limits.requests_max));
    instance.registration = registration;
    instance.link = link;
    this.#deadlines.remove(instance.resume);
    instance.resume = null;
    // The newest registration stands last.
    entry.instances.delete(instance.instance_id);
    entry.instances.set(instance.instance_id, instance);
    entry.last = registration;
    entry.away_since = null;
    link.state = { kind: 'up', instance, draining: false };
    const { wanted, again } = this.#to.executions.returned(instance, frame.in_flight);
    link.send({
      type: 'agent.registered',
      link_id: link.link_id,
      agent_id: entry.agent_id,
      heartbeat_ms: this.#limits.heartbeat_ms,
      lease_ms: this.#limits.lease_ms,
      frame_bytes_max: this.#limits.frame_bytes_max,
      wanted,
    });
    this.#log.info({ link_id: link.link_id, agent: frame.agent, instance_id: frame.instance_id }, 'agent registered');
    this.#to.executions.resend(instance, again);
    this.#resumeSessions(link, instance, frame.sessions_open);
    this.#to.executions.available(frame.agent);
  }

  /**
   * Handlers that it still runs go on; those that it never heard of are opened now; those that it has lost are
   * reported; those that were never its own are refused.
   */
  #resumeSessions(link: AgentLink, instance: AgentInstance, open: { session_id: string; after_seq: number }[]): void {
    const running = new Set(open.map((one) => one.session_id));
    for (const [session_id, { closed, unheard }] of instance.sessions) {
      if (running.has(session_id)) continue;
      if (unheard && !closed) {
        // It is one process: what it does not name it never began, so this is the first handler and not a second one.
        link.send({ type: 'session.open', ...unheard });
        this.#resumeSession(link, instance, session_id, 0);
        continue;
      }
      instance.sessions.delete(session_id);
      if (closed) continue;
      const lost = new ParleyError('aborted', `agent ${instance.agent} came back without the handler of this session`);
      this.#to.sessions.handled(session_id, lost.toObject());
    }
    for (const { session_id, after_seq } of open) {
      instance.heard(session_id);
      this.#resumeSession(link, instance, session_id, after_seq);
    }
  }

  #resumeSession(link: AgentLink, instance: AgentInstance, session_id: string, after_seq: number): void {
    const resumed = instance.sessions.has(session_id)
      ? this.#to.sessions.handlerResumed(session_id, after_seq, link)
      : Promise.reject(new ParleyError('not_found', `session ${session_id} is not open on this instance`));
    // Whatever it was: nothing of this session will come over this link.
    resumed.catch((error: unknown) => link.lost(session_id, ParleyError.from(error, 'internal').message));
  }

  #opened(link: AgentLink, frame: Omit<ServerFrameOf<'session.open'>, 'type'>): void {
    const { session_id, session: name } = frame;
    if (link.state.kind === 'up') link.state.instance.sessions.set(session_id, { name, closed: false, unheard: frame });
    // Placed a moment before the link was cut. Told later, as any other loss is.
    else queueMicrotask(() => this.#to.sessions.handlerLost(link.link_id, [session_id], 'the agent link is gone'));
  }

  /** Closes a link for a reason of ours. Its work is let go now, not when the agent has answered the close. */
  end(link: AgentLink, error: ParleyError): void {
    const instance = link.state.kind === 'up' ? link.state.instance : null;
    this.#log.warn({ link_id: link.link_id, agent: instance?.agent, code: error.code }, error.message);
    link.close(error);
    if (instance) this.#letGo(link, instance, error.message, false);
  }

  #closed(link: AgentLink, close: FrameClose): void {
    const { state } = link;
    link.state = { kind: 'closed' };
    this.#links.delete(link.link_id);
    this.#log.info({ link_id: link.link_id, code: close.code }, 'agent link closed');
    if (state.kind === 'joining' || state.kind === 'closed') return;
    // Only these come from an agent that leaves by itself; 1006 and the codes of faults say nothing of what was read.
    const clean = state.kind === 'up' && LEAVING.has(close.code);
    if (state.instance) this.#letGo(link, state.instance, `the agent link was closed with ${close.code}`, clean);
  }

  /** What the instance has waits for its next link (P2). Called for each link once; the second call finds it gone. */
  #letGo(link: AgentLink, instance: AgentInstance, reason: string, clean: boolean): void {
    if (instance.link !== link) return;
    instance.link = null;
    const entry = this.agents.get(instance.agent);
    if (entry) {
      entry.last_seen_ms = this.#clock.wall();
      if (!entry.connected) entry.away_since = this.#clock.now();
    }
    this.#to.executions.cut(instance, clean);
    if (instance.sessions.size > 0) {
      this.#to.sessions.handlerLost(link.link_id, [...instance.sessions.keys()], reason);
    }
    if (!instance.busy) entry?.instances.delete(instance.instance_id);
    else instance.resume = this.#deadlines.add(this.#limits.resume_ms, () => this.#gone(instance));
  }

  #gone(instance: AgentInstance): void {
    instance.resume = null;
    const entry = this.agents.get(instance.agent);
    if (entry?.instances.get(instance.instance_id) === instance) entry.instances.delete(instance.instance_id);
    this.#log.warn({ agent: instance.agent, instance_id: instance.instance_id }, 'agent instance did not come back');
    this.#to.executions.gone(instance);
    for (const [session_id, { closed }] of instance.sessions) {
      if (closed) continue;
      const lost = new ParleyError('unavailable', `agent ${instance.agent} is gone`);
      this.#to.sessions.handled(session_id, lost.toObject());
    }
    instance.sessions.clear();
  }

  /** @throws ParleyError `resource_exhausted` when every listed agent is connected. */
  #makeRoom(): void {
    if (this.agents.size < this.#limits.agents_max) return;
    let oldest: AgentEntry | null = null;
    for (const entry of this.agents.values()) {
      if (entry.instances.size > 0) continue;
      if (!oldest || entry.last_seen_ms < oldest.last_seen_ms) oldest = entry;
    }
    if (!oldest)
      throw limit(`the server is at its limit of ${this.#limits.agents_max} agents`, this.#limits.agents_max);
    this.agents.delete(oldest.agent);
  }
}

function limit(message: string, max: number): ParleyError {
  return new ParleyError('resource_exhausted', message, { details: { limit: max } });
}
