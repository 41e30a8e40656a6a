// Runs one session in this event loop. The same code runs it inside of a thread or a process.
//
// P1  Whatever `createAgent` and `joinCall` throw ends this session and no other.
// P2  The call is left when `joinCall` is over, whoever forgot to.

import { AsyncLocalStorage } from 'node:async_hooks';
import { type EventRecord, ParleyError } from '@parley/core';
import type { Clock, FrameSocket } from '@parley/transport';
import type { Agent } from '../agent.ts';
import { type CallEnd, type CallHost, holdCallsAt, type HostedCall } from '../call.ts';
import type { ModelLease } from '../local/local-model.ts';
import { withFields } from '../log.ts';
import type { AgentLauncherOptions, LaunchContext } from './options.ts';
import type { Unit, UnitEnd, UnitOrder, UnitPorts } from './unit.ts';
import type { Notice } from './vigil.ts';

export interface SharedUnitParts extends Pick<AgentLauncherOptions, 'joinCall' | 'onNotice' | 'onEntry'> {
  agentFor(order: UnitOrder, context: LaunchContext): Promise<Agent>;
  closeMs: number;
  clock: Clock;
  leaseModel?: ((provider: string) => Promise<ModelLease>) | undefined;
  /** Where the call is held instead of here. */
  host?: CallHost | undefined;
}

/** The session that the code which runs now belongs to: for whoever has to name a culprit. */
export const runningSession = new AsyncLocalStorage<string>();
// Where the watchdog finds it from outside.
(globalThis as Record<symbol, unknown>)[Symbol.for('parley.running')] = runningSession;

const PRESENCE: Readonly<Record<string, 'joined' | 'left' | 'touched'>> = {
  'client.attached': 'joined',
  'client.detached': 'left',
  'speech.started': 'touched',
  'turn.completed': 'touched',
  'input.injected': 'touched',
  'say.requested': 'touched',
  'response.completed': 'touched',
};

export class SharedUnit implements Unit {
  readonly #order: UnitOrder;
  readonly #parts: SharedUnitParts;
  readonly #ports: UnitPorts;
  readonly #context: LaunchContext;
  readonly #abort = new AbortController();
  readonly #ended = Promise.withResolvers<UnitEnd>();
  #agent: Agent | null = null;
  #hosted: HostedCall | null = null;
  #closing: string | null = null;
  #grace: { cancel(): void } | null = null;

  constructor(order: UnitOrder, parts: SharedUnitParts, ports: UnitPorts) {
    this.#order = order;
    this.#parts = parts;
    this.#ports = ports;
    const { sessionId: id, callId, callType, input, metadata } = order;
    const log = withFields(ports.log, { session_id: id });
    this.#context = {
      id,
      callId,
      callType,
      input,
      metadata,
      signal: this.#abort.signal,
      log,
      active: () => ports.active(),
    };
    void runningSession.run(id, () => this.#run());
  }

  get ended(): Promise<UnitEnd> {
    return this.#ended.promise;
  }

  notice(notice: Notice): void {
    const { onNotice } = this.#parts;
    const agent = this.#agent;
    if (!onNotice || !agent) return;
    const tell = async (): Promise<void> => {
      try {
        await onNotice(agent, notice, this.#context);
      } catch (thrown) {
        const { code, message } = ParleyError.from(thrown);
        this.#context.log.warn('onNotice failed', { reason: notice.reason, code, message });
      }
    };
    void runningSession.run(this.#order.sessionId, tell);
  }

  close(reason: string): void {
    if (this.#closing !== null) return;
    this.#closing = reason;
    this.#abort.abort(new ParleyError('cancelled', `the session ended: ${reason}`, { details: { reason } }));
    // Where joinCall ends with it, that is told below; where it does not, this is all that is heard of it.
    this.#hosted?.leave(reason).catch((thrown: unknown) => {
      const { code, message } = ParleyError.from(thrown);
      this.#context.log.warn('the call could not be left', { reason, code, message });
    });
    this.#grace = this.#parts.clock.after(this.#parts.closeMs, () => {
      this.#context.log.warn('joinCall did not end when it was told to; it is given up', { reason });
      this.#ended.resolve({ reason, error: null, abandoned: true });
    });
  }

  attach(client: FrameSocket): void {
    if (!this.#hosted) {
      throw new ParleyError('failed_precondition', 'the agent is not in its call yet', { retryable: true });
    }
    if (!this.#hosted.attach) {
      throw new ParleyError('unimplemented', 'clients of this call connect to the control plane that keeps it');
    }
    this.#hosted.attach(client);
  }

  async #run(): Promise<void> {
    let error: ParleyError | null = null;
    try {
      // Whoever starts many starts them side by side.
      await Promise.resolve();
      this.#abort.signal.throwIfAborted();
      const agent = await this.#parts.agentFor(this.#order, this.#context);
      this.#abort.signal.throwIfAborted();
      this.#agent = agent;
      holdCallsAt(agent, this.#host());
      await this.#parts.joinCall(agent, this.#order.callType, this.#order.callId, this.#context);
    } catch (thrown) {
      error = ParleyError.from(thrown);
      if (thrown instanceof Error && !this.#abort.signal.aborted) {
        this.#context.log.debug('it threw', { stack: thrown.stack });
      }
    }
    let over: CallEnd | null = null;
    try {
      over = this.#hosted && (await this.#hosted.leave('task_completed'));
    } catch (thrown) {
      // However it ends, it has ended: a call that cannot be left must not hold a place for ever.
      error ??= ParleyError.from(thrown);
    }
    this.#grace?.cancel();
    // What is thrown by somebody who was told to stop is not a failure.
    if (this.#closing !== null) return this.#ended.resolve({ reason: this.#closing, error: null });
    error ??= over?.error ?? null;
    this.#ended.resolve({ reason: error ? 'failed' : (over?.reason ?? 'task_completed'), error });
  }

  /** Where this session's call is held, with an ear on it. */
  #host(): CallHost {
    const { sessionId, metadata, provider } = this.#order;
    const { clock, leaseModel, host } = this.#parts;
    // Loaded when a call is held here: an agent of a control plane needs neither providers nor their sockets.
    const local = async (): Promise<CallHost> =>
      new (await import('../local/local-host.ts')).LocalHost({
        sessionId,
        metadata,
        provider,
        lease: leaseModel,
        clock,
        log: this.#ports.log,
        listener: (entry) => this.#entry(entry),
      });
    return {
      join: async (agent, call) => {
        const inner = host ?? (await local());
        this.#abort.signal.throwIfAborted();
        const hosted = await inner.join(agent, call);
        this.#hosted = hosted;
        if (this.#closing !== null) {
          await hosted.leave(this.#closing);
          this.#abort.signal.throwIfAborted();
        }
        this.#ports.active();
        return hosted;
      },
    };
  }

  #entry(entry: EventRecord): void {
    this.#ports.entry(entry);
    try {
      this.#parts.onEntry?.(entry, this.#context);
    } catch (thrown) {
      const { code, message } = ParleyError.from(thrown);
      this.#context.log.warn('onEntry failed', { type: entry.type, code, message });
    }
    const presence = PRESENCE[entry.type];
    if (presence) this.#ports.presence(presence);
  }
}
