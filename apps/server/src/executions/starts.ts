// The beginning of an execution, up to its row on disk; and its stop, which takes along what it called.
//
// P1  The row is committed in the turn in which the execution is taken in: no end of it can be committed before it.

import { type ExecutionResource, type FunctionDeclaration, newId, ParleyError } from '@parley/core';
import type { ServerClock } from '../agents/clock.ts';
import type { Deadlines } from '../agents/deadlines.ts';
import type { StartExecution } from '../agents/ports.ts';
import type { Workforce } from '../agents/work.ts';
import type { Store, Write } from '../store/store.ts';
import { checkIds, checkInput, type Family, findFamily, findFunction, refuseEnded } from './admission.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type Ending, ENDINGS } from './ending.ts';
import { Entry, WAITING } from './entry.ts';
import type { Ledger } from './ledger.ts';
import type { ExecutionLimits } from './limits.ts';
import type { Reads } from './reads.ts';

/** A request that may be repeated: see `Idempotency-Key`. */
export interface Claim {
  scope: string;
  key: string;
  fingerprint: string;
}

/** What the checks of a start found out. */
interface Admission {
  declaration: FunctionDeclaration;
  /** The input as JSON text. */
  text: string;
  family: Family;
}

interface StartsParts {
  store: Store;
  workforce: Workforce;
  ledger: Ledger;
  dispatcher: Dispatcher;
  reads: Reads;
  clock: ServerClock;
  deadlines: Deadlines;
  limits: ExecutionLimits;
}

export class Starts {
  readonly #parts: StartsParts;
  #draining = false;

  constructor(parts: StartsParts) {
    this.#parts = parts;
  }

  /** From now on only what running work and open sessions call. */
  drain(): void {
    this.#draining = true;
  }

  async start(request: StartExecution, claim?: Claim): Promise<ExecutionResource> {
    if (claim) {
      const existing = await this.#parts.store.claim(claim.scope, claim.key);
      if (existing) return this.#replay(claim, existing);
    }
    const admission = await this.#check(request);
    const entry = this.#admit(request, admission);
    const { resource } = entry;
    const unit: Write[] = [{ op: 'execution.insert', execution: resource }];
    if (claim) {
      const result = JSON.stringify({ execution_id: entry.id });
      unit.unshift({ op: 'claim.insert', claim: { ...claim, result, at_ms: resource.created_at_ms } });
    }
    let existing: { fingerprint: string; result: string } | null;
    try {
      const committed = await this.#parts.store.commit(unit);
      existing = committed.ok ? null : committed.existing;
    } catch (error) {
      this.#forget(entry);
      const known = error instanceof ParleyError && error.code === 'already_exists';
      throw known ? new ParleyError('already_exists', `execution ${entry.id} was started before`) : error;
    }
    if (claim && existing) {
      this.#forget(entry);
      return this.#replay(claim, existing);
    }
    this.#parts.dispatcher.written(entry);
    // Its parent was cancelled while it was written.
    if (entry.parent?.phase.kind === 'ending') this.#stopOrphan(entry, entry.parent);
    return entry.resource;
  }

  async #check(request: StartExecution): Promise<Admission> {
    const { target, input = {} } = request;
    checkIds(request);
    const declaration = findFunction(this.#parts.workforce, target);
    const text = checkInput(declaration, target, input, this.#parts.limits);
    const parent =
      request.parent_execution_id === undefined ? undefined : this.#parts.ledger.get(request.parent_execution_id);
    const family = await findFamily(request, parent, this.#parts.store, this.#parts.limits);
    if (this.#draining && !family.parent && family.session_id === undefined) {
      throw new ParleyError('unavailable', 'the server is draining');
    }
    return { declaration, text, family };
  }

  /** Takes it in. Its row must be committed in the same turn: an end that comes next is committed after it. */
  #admit(request: StartExecution, { declaration, text, family }: Admission): Entry {
    const timeout_ms = request.timeout_ms ?? declaration.timeout_ms ?? this.#parts.limits.timeout_ms;
    const resource: ExecutionResource = {
      execution_id: request.execution_id ?? newId('execution'),
      workflow_id: family.workflow_id,
      target: request.target,
      kind: declaration.kind,
      status: 'queued',
      input: request.input === undefined ? {} : request.input,
      created_at_ms: this.#parts.clock.wall(),
    };
    if (family.parent_execution_id !== undefined) resource.parent_execution_id = family.parent_execution_id;
    if (family.session_id !== undefined) resource.session_id = family.session_id;
    const expires = this.#parts.clock.now() + timeout_ms;
    const entry = new Entry(resource, { input: text, declaration, parent: family.parent, expires });
    this.#parts.ledger.admit(entry);
    this.arm(entry, timeout_ms);
    // The row says whether it leaves at once or waits: after a crash that decides whether it may be given out again.
    if (!this.#parts.dispatcher.assign(entry)) entry.resource = { ...resource, reason: WAITING };
    return entry;
  }

  /** It did not come to be: its row was refused. */
  #forget(entry: Entry): void {
    const { instance } = entry;
    this.#parts.ledger.drop(entry);
    this.#parts.dispatcher.released(entry, instance);
  }

  arm(entry: Entry, timeout_ms: number): void {
    entry.deadline = this.#parts.deadlines.add(timeout_ms, () => this.stop(entry, ENDINGS.timedOut(), 'timeout'));
  }

  /** Ends it, tells its agent, and stops what it called. */
  stop(entry: Entry, ending: Ending, reason: string): void {
    const { phase } = entry;
    const children = [...(entry.children ?? [])];
    if (!this.#parts.ledger.end(entry, ending)) return;
    if (phase.kind === 'sent' || phase.kind === 'running') phase.instance.cancel(entry.id, reason);
    for (const child of children) this.stop(child, ENDINGS.cancelled(`its caller ended: ${reason}`), reason);
  }

  #stopOrphan(entry: Entry, parent: Entry): void {
    try {
      refuseEnded(parent);
    } catch (error) {
      const { message } = ParleyError.from(error);
      this.stop(entry, ENDINGS.cancelled(message), message);
    }
  }

  async #replay(claim: Claim, existing: { fingerprint: string; result: string }): Promise<ExecutionResource> {
    if (existing.fingerprint !== claim.fingerprint) {
      throw new ParleyError('already_exists', `Idempotency-Key '${claim.key}' was used for another request`);
    }
    const { execution_id } = JSON.parse(existing.result) as { execution_id: string };
    return this.#parts.reads.get(execution_id);
  }
}
