// A call of an agent: a session that the agent joined by itself, because somebody launched it there.

import { ParleyError } from '@parley/core';
import type { EventRecord } from '@parley/core';
import type { FrameSocket } from '@parley/transport';
import { checkCall } from './launcher/start-request.ts';
import type { RealtimeSession } from './realtime-session.ts';
import type { AgentParts } from './agent-parts.ts';

/** A call that an agent can join. */
export interface AgentCall {
  readonly type: string;
  readonly id: string;
  /** The session of the agent that it is held with. */
  readonly session: string;
}

/** How a call ended. */
export interface CallEnd {
  /** `client_left`, `agent_left`, `handler_completed`, `provider_lost`, `idle_timeout`, … */
  reason: string;
  error: ParleyError | null;
}

/** A call under way, wherever its session is kept. */
export interface HostedCall {
  readonly session: RealtimeSession;
  /** Settles once, and never rejects. */
  readonly ended: Promise<CallEnd>;
  /** Ends it. Resolves when it has ended. */
  leave(reason: string): Promise<CallEnd>;
  /** Gives a client a place in it, where the media is here. */
  attach?(client: FrameSocket): void;
}

/** Where the calls of an agent are held: here, or at a control plane. */
export interface CallHost {
  join(agent: AgentParts, call: AgentCall): Promise<HostedCall>;
}

/** What happens in a call, for whoever counts and watches it. */
export type CallListener = (entry: EventRecord) => void;

const hosts = new WeakMap<object, CallHost>();

const parts = new WeakMap<object, AgentParts>();

/** What an agent declares. */
export function partsOf(agent: object): AgentParts {
  const found = parts.get(agent);
  if (!found) throw new ParleyError('invalid_argument', 'createAgent must return an Agent of @parley/session');
  return found;
}

/** Says where an agent's calls are held. Without it they are held here, with nobody but the model in them. */
export function holdCallsAt(agent: object, host: CallHost): void {
  hosts.set(agent, host);
}

/**
 * A call that an agent has joined. Disposing of it leaves the call.
 *
 * @example
 * const call = support.createCall('default', 'call-42');
 * await using joined = await support.join(call);
 * await support.simpleResponse('Greet the caller.');
 * await support.finish();
 */
export class JoinedCall implements AsyncDisposable {
  readonly call: AgentCall;
  readonly session: RealtimeSession;
  readonly #hosted: HostedCall;

  constructor(call: AgentCall, hosted: HostedCall) {
    this.call = call;
    this.session = hosted.session;
    this.#hosted = hosted;
  }

  /** How it ended. Never rejects. */
  get ended(): Promise<CallEnd> {
    return this.#hosted.ended;
  }

  /** Gives a client a place in the call: a socket that speaks OpenAI Realtime. @throws ParleyError `unimplemented`. */
  attach(client: FrameSocket): void {
    if (!this.#hosted.attach) {
      throw new ParleyError('unimplemented', 'clients of this call connect to the control plane that keeps it');
    }
    this.#hosted.attach(client);
  }

  /** Leaves the call, which ends it. Again, or after the end, changes nothing. */
  async leave(reason = 'agent_left'): Promise<void> {
    await this.#hosted.leave(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}

/** The calls of one agent: one at a time. */
export class AgentCalls {
  readonly #agent: object;
  readonly #parts: AgentParts;
  /** The call that it is in, or was in last: `finish` after its end says how it ended. */
  #joined: JoinedCall | null = null;
  #over = true;
  #joining = false;

  constructor(agent: object, declared: AgentParts) {
    this.#agent = agent;
    this.#parts = declared;
    parts.set(agent, declared);
  }

  create(type: string, id: string, session?: string): AgentCall {
    checkCall(type, id);
    return { type, id, session: this.#sessionFor(type, session) };
  }

  async join(call: AgentCall): Promise<JoinedCall> {
    if (this.#joining || !this.#over) {
      const other = this.#joined?.call.id ?? call.id;
      throw new ParleyError('failed_precondition', `agent ${this.#parts.name} is in call ${other} already`);
    }
    this.#joining = true;
    try {
      const host = hosts.get(this.#agent) ?? new (await import('./local/local-host.ts')).LocalHost();
      const joined = new JoinedCall(call, await host.join(this.#parts, call));
      this.#joined = joined;
      this.#over = false;
      void joined.ended.then(() => {
        if (this.#joined === joined) this.#over = true;
      });
      return joined;
    } finally {
      this.#joining = false;
    }
  }

  /** The call that it is in. */
  get joined(): JoinedCall | null {
    return this.#over ? null : this.#joined;
  }

  async finish(): Promise<void> {
    const { error } = await this.#current().ended;
    if (error) throw error;
  }

  async simpleResponse(text: string): Promise<void> {
    await this.#current().session.inject(text, { respond: true });
  }

  #current(): JoinedCall {
    if (this.#joined) return this.#joined;
    throw new ParleyError('failed_precondition', `agent ${this.#parts.name} is in no call: join one first`);
  }

  #sessionFor(type: string, asked: string | undefined): string {
    const { name, sessions } = this.#parts;
    const wanted = asked ?? (sessions.has(type) || sessions.size !== 1 ? type : [...sessions.keys()][0]);
    if (wanted !== undefined && sessions.has(wanted)) return wanted;
    const known = [...sessions.keys()].sort().join(', ') || 'none';
    throw new ParleyError('invalid_argument', `agent ${name} has no session '${wanted}'. Its sessions: ${known}.`, {
      details: { path: 'call_type' },
    });
  }
}
