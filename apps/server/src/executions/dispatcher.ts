// Gives executions to instances of agents, and keeps track of who has them.
//
// P1  An execution that an instance may have started is never given to another one. Where it cannot be known whether
//     it was started (the link was cut before `execution.accepted` came), it counts as started: a frozen agent still
//     reads what is in its socket when it wakes.
// P2  What leaves for an agent says on disk that it may have left. A row with reason `waiting_for_agent` never did.

import type { AgentFrameOf } from '@parley/core';
import { ParleyError } from '@parley/core';
import type { ServerClock } from '../agents/clock.ts';
import type { Deadlines } from '../agents/deadlines.ts';
import type { Instance, Log, Workforce } from '../agents/work.ts';
import type { Store } from '../store/store.ts';
import { ENDINGS, endingOf } from './ending.ts';
import { type Entry, WAITING } from './entry.ts';
import { type Ledger, park } from './ledger.ts';
import type { ExecutionLimits } from './limits.ts';
import { isCalled, Queue } from './queue.ts';
import type { Watchers } from './watchers.ts';

export interface DispatcherParts {
  store: Store;
  workforce: Workforce;
  ledger: Ledger;
  watchers: Watchers;
  clock: ServerClock;
  deadlines: Deadlines;
  limits: ExecutionLimits;
  log: Log;
}

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #queue = new Queue();
  /** While the server drains only what belongs to running work is given out; the rest stays on disk. */
  #draining = false;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** What was held back no longer stands before what running work calls. */
  drain(): void {
    this.#draining = true;
    for (const entry of this.#parts.ledger.values()) {
      if (entry.phase.kind === 'waiting' && !isCalled(entry)) this.#queue.remove(entry);
    }
  }

  /** Finds it a place, if there is one and nobody waits before it. Nothing is sent yet. */
  assign(entry: Entry): boolean {
    if (!this.#place(entry, this.#queue.hasWaiting(entry))) return false;
    entry.marked = true;
    return true;
  }

  /** @param late others wait before it: they are passed only on the way to where its caller runs. */
  #place(entry: Entry, late = false): boolean {
    if (this.#draining && !isCalled(entry)) return false;
    if (!this.#queue.hasRoom(entry)) return false;
    const caller = { instance: entry.parent?.instance ?? null, session_id: entry.resource.session_id };
    const instance = this.#parts.workforce.place(entry.agent, entry.name, caller);
    // A draining instance is given to its own work alone, so those before it do not wait for that place.
    if (!instance || (late && !instance.draining)) return false;
    this.#hold(entry, instance, { kind: 'assigned', instance });
    return true;
  }

  #hold(entry: Entry, instance: Instance, phase: Entry['phase']): void {
    instance.executions.add(entry.id);
    this.#queue.take(entry);
    entry.phase = phase;
    park(entry);
  }

  /** Its row is on disk: it is sent, or it waits. */
  written(entry: Entry): void {
    if (entry.phase.kind === 'assigned') this.#send(entry, entry.phase.instance);
    else if (entry.phase.kind === 'admitted') {
      this.enqueue(entry);
      // A place may have come free while it was written.
      this.pump(entry.agent);
    }
  }

  enqueue(entry: Entry): void {
    entry.phase = { kind: 'waiting' };
    if (!this.#draining || isCalled(entry)) this.#queue.add(entry);
  }

  pump(agent: string): void {
    this.#queue.pump(agent, (entry) => {
      if (!this.#place(entry)) return false;
      if (entry.marked) this.written(entry);
      else this.#mark(entry);
      return true;
    });
  }

  /** Writes down that it may have left (P2), then sends it. */
  #mark(entry: Entry): void {
    const { reason: _, ...resource } = entry.resource;
    this.#parts.store.commit([{ op: 'execution.update', execution: resource }]).then(
      () => {
        entry.marked = true;
        entry.resource = withoutWaiting(entry.resource);
        this.written(entry);
      },
      (error: unknown) => {
        this.#parts.log.error({ execution_id: entry.id, code: ParleyError.from(error).code }, 'not given out');
        if (entry.phase.kind !== 'assigned') return;
        this.#release(entry, entry.phase.instance);
        entry.phase = { kind: 'admitted' };
        this.#parts.deadlines.add(this.#parts.limits.retry_ms, () => this.written(entry));
      },
    );
  }

  #send(entry: Entry, instance: Instance): void {
    if (!instance.connected) {
      this.#requeue(entry, instance);
      return;
    }
    entry.phase = { kind: 'sent', instance };
    instance.dispatch(entry.dispatchFrame(this.#parts.clock.now()));
  }

  /** It did not leave, or was certainly not accepted: anybody may have it. */
  #requeue(entry: Entry, instance: Instance): void {
    this.#release(entry, instance);
    this.enqueue(entry);
    this.pump(entry.agent);
  }

  #release(entry: Entry, instance: Instance): void {
    if (!instance.executions.delete(entry.id)) return;
    instance.parked.delete(entry.id);
    this.#queue.release(entry);
  }

  /** It has ended: its place is free. */
  released(entry: Entry, instance: Instance | null): void {
    if (instance) this.#release(entry, instance);
    else this.#queue.remove(entry);
    this.pump(entry.agent);
  }

  // What instances say.

  accepted(instance: Instance, execution_id: string): void {
    const entry = this.#parts.ledger.get(execution_id);
    // It ended on its way; the cancellation is on its way too.
    if (!entry || entry.phase.kind === 'ending') return;
    if (entry.instance !== instance) throw notYours(execution_id);
    if (entry.phase.kind === 'sent') this.#run(entry, instance);
  }

  #run(entry: Entry, instance: Instance): void {
    const at_ms = this.#parts.clock.wall();
    entry.phase = { kind: 'running', instance };
    entry.resource = { ...withoutWaiting(entry.resource), status: 'running', started_at_ms: at_ms };
    const { watchers } = this.#parts;
    if (!watchers.hears(entry.id)) return;
    watchers.tell({ type: 'execution.running', execution_id: entry.id, at_ms, execution: entry.resource });
  }

  result(instance: Instance, frame: AgentFrameOf<'execution.result'>, frame_bytes: number): void {
    const entry = this.#parts.ledger.get(frame.execution_id);
    // It ended long ago, or was never ours: the agent may forget it.
    if (!entry) {
      instance.settled(frame.execution_id);
      return;
    }
    if (entry.phase.kind === 'ending') {
      if (entry.agent === instance.agent) entry.phase.told = instance;
      return;
    }
    this.#adopt(entry, instance);
    if (entry.instance !== instance) throw notYours(frame.execution_id);
    this.#parts.ledger.end(entry, endingOf(frame, frame_bytes, this.#parts.limits.payload_bytes_max), instance);
  }

  /** Nobody here knows who has it, and an instance of its agent says that it does. */
  #adopt(entry: Entry, instance: Instance): void {
    const { kind } = entry.phase;
    if ((kind !== 'recovered' && kind !== 'waiting') || entry.agent !== instance.agent) return;
    if (kind === 'waiting') this.#queue.remove(entry);
    this.#hold(entry, instance, { kind: 'sent', instance });
    this.#run(entry, instance);
  }

  /** The link is gone. What was cleanly refused is given to others; the rest waits for the same instance (P1). */
  cut(instance: Instance, clean: boolean): void {
    if (!clean) return;
    for (const entry of this.#of(instance)) if (entry.phase.kind === 'sent') this.#requeue(entry, instance);
  }

  returned(instance: Instance, in_flight: readonly string[]): { wanted: string[]; again: string[] } {
    const wanted: string[] = [];
    const again: string[] = [];
    for (const execution_id of in_flight) {
      const entry = this.#parts.ledger.get(execution_id);
      if (!entry) continue;
      this.#adopt(entry, instance);
      if (entry.phase.kind === 'sent' && entry.instance === instance) this.#run(entry, instance);
      if (entry.instance === instance) wanted.push(execution_id);
    }
    const has = new Set(in_flight);
    for (const entry of this.#of(instance)) {
      if (has.has(entry.id)) continue;
      if (entry.phase.kind === 'sent') again.push(entry.id);
      else if (entry.phase.kind === 'running') this.#parts.ledger.end(entry, ENDINGS.agentRestarted(entry.agent));
    }
    return { wanted, again };
  }

  resend(instance: Instance, execution_ids: readonly string[]): void {
    for (const execution_id of execution_ids) {
      const entry = this.#parts.ledger.get(execution_id);
      if (entry?.phase.kind === 'sent' && entry.instance === instance) this.#send(entry, instance);
    }
  }

  gone(instance: Instance): void {
    for (const entry of this.#of(instance)) {
      const { kind } = entry.phase;
      if (kind === 'sent' || kind === 'running') {
        this.#parts.ledger.end(entry, ENDINGS.agentLost(entry.agent, kind === 'running'));
      }
    }
  }

  /** A copy: ends and requeues take from the set. */
  #of(instance: Instance): Entry[] {
    const entries: Entry[] = [];
    for (const execution_id of instance.executions) {
      const entry = this.#parts.ledger.get(execution_id);
      if (entry) entries.push(entry);
    }
    return entries;
  }
}

function notYours(execution_id: string): ParleyError {
  return new ParleyError('permission_denied', `this instance does not run execution ${execution_id}`);
}

function withoutWaiting(resource: Entry['resource']): Entry['resource'] {
  if (resource.reason !== WAITING) return resource;
  const { reason: _, ...rest } = resource;
  return rest;
}
