// The execution engine. A happy execution is two durable units: its row before it is given out, its end before anybody
// hears of it. `running` is kept in memory and put into what is read (reads.ts); the ledger ends executions, the
// dispatcher knows who has them, and this page is what the rest of the server calls.

import {
  type AgentFrameOf,
  type BatchStatusResponse,
  type ExecutionResource,
  type FunctionDeclaration,
  isTerminal,
  newId,
  ParleyError,
  type WorkflowResource,
} from '@parley/core';
import { machineClock, type ServerClock } from '../agents/clock.ts';
import { Deadlines } from '../agents/deadlines.ts';
import type { ExecutionEngine, StartExecution } from '../agents/ports.ts';
import { type ExecutionHost, type Instance, type Log, quiet, type Workforce } from '../agents/work.ts';
import type { ExecutionQuery, Store, Write } from '../store/store.ts';
import { checkIds, checkInput, type Family, findFamily, findFunction, refuseEnded } from './admission.ts';
import { Dispatcher } from './dispatcher.ts';
import { type Ending, ENDINGS } from './ending.ts';
import { Entry, WAITING } from './entry.ts';
import { Ledger } from './ledger.ts';
import { EXECUTION_LIMITS, type ExecutionLimits } from './limits.ts';
import { Notes } from './notes.ts';
import { type ExecutionPage, Reads } from './reads.ts';
import { findUnfinished } from './recovery.ts';
import { type ExecutionListener, Watchers } from './watchers.ts';

export interface ExecutionsOptions {
  store: Store;
  workforce: Workforce;
  limits?: Partial<ExecutionLimits>;
  clock?: ServerClock;
  log?: Log;
}

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

export class Executions implements ExecutionEngine, ExecutionHost {
  readonly #store: Store;
  readonly #workforce: Workforce;
  readonly #limits: ExecutionLimits;
  readonly #clock: ServerClock;
  readonly #deadlines: Deadlines;
  readonly #watchers: Watchers;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #reads: Reads;
  readonly #notes: Notes;
  /** Set while the server drains; called when nothing that was given out is left. */
  #drained: (() => void) | null = null;

  constructor(options: ExecutionsOptions) {
    const { store, workforce } = options;
    const limits = { ...EXECUTION_LIMITS, ...options.limits };
    const clock = options.clock ?? machineClock;
    const log = options.log ?? quiet;
    const deadlines = new Deadlines(clock);
    const watchers = new Watchers(deadlines, limits);
    const ledger = new Ledger({ store, clock, deadlines, watchers, limits, log });
    const dispatcher = new Dispatcher({ store, workforce, ledger, watchers, clock, deadlines, limits, log });
    ledger.on(
      (entry, instance) => dispatcher.released(entry, instance),
      () => this.#checkDrained(),
    );
    this.#store = store;
    this.#workforce = workforce;
    this.#limits = limits;
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#watchers = watchers;
    this.#ledger = ledger;
    this.#dispatcher = dispatcher;
    this.#reads = new Reads(store, ledger, limits.workflow_nodes_max);
    this.#notes = new Notes({ store, watchers, clock, limits, log });
  }

  get running(): number {
    return this.#ledger.size;
  }

  /** Callers that wait for an end. */
  get waiting(): number {
    return this.#watchers.waiting;
  }

  async start(request: StartExecution, claim?: Claim): Promise<ExecutionResource> {
    if (claim) {
      const existing = await this.#store.claim(claim.scope, claim.key);
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
      const committed = await this.#store.commit(unit);
      existing = committed.ok ? null : committed.existing;
    } catch (error) {
      this.#forget(entry);
      throw error;
    }
    if (claim && existing) {
      this.#forget(entry);
      return this.#replay(claim, existing);
    }
    this.#dispatcher.written(entry);
    // Its parent was cancelled while it was written.
    if (entry.parent?.phase.kind === 'ending') this.#stopOrphan(entry, entry.parent);
    return entry.resource;
  }

  async wait(execution_id: string, timeout_ms: number): Promise<ExecutionResource> {
    if (!this.#ledger.get(execution_id)) return this.#reads.get(execution_id);
    const ended = timeout_ms > 0 ? await this.#watchers.wait(execution_id, timeout_ms) : null;
    return ended ?? this.#reads.get(execution_id);
  }

  async ended(execution_id: string): Promise<ExecutionResource> {
    if (this.#ledger.get(execution_id)) return this.#watchers.ended(execution_id);
    return this.#reads.get(execution_id);
  }

  async cancel(execution_id: string, reason: string): Promise<ExecutionResource> {
    const entry = this.#ledger.get(execution_id);
    if (!entry) {
      const found = await this.#reads.get(execution_id);
      if (isTerminal(found.status)) return found;
      throw new ParleyError(
        'failed_precondition',
        `${execution_id} is the root of a session; close the session instead`,
      );
    }
    const ended = this.#watchers.ended(execution_id);
    this.#stop(entry, ENDINGS.cancelled(reason), reason);
    return ended;
  }

  /** With its notes. @throws ParleyError `not_found`. */
  get(execution_id: string): Promise<ExecutionResource> {
    return this.#reads.get(execution_id);
  }

  /** Newest first; without input and output when `brief`. */
  list(query: ExecutionQuery, brief?: boolean): Promise<ExecutionPage> {
    return this.#reads.list(query, brief);
  }

  batch(execution_ids: readonly string[]): Promise<BatchStatusResponse> {
    return this.#reads.batch(execution_ids);
  }

  /** @throws ParleyError `not_found`. */
  workflow(workflow_id: string): Promise<WorkflowResource> {
    return this.#reads.workflow(workflow_id);
  }

  /**
   * Writes a note. Resolves when it is on disk.
   * @throws ParleyError `not_found`, `invalid_argument`, `resource_exhausted`.
   */
  async note(execution_id: string, text: string, data?: unknown): Promise<void> {
    const known = this.#ledger.get(execution_id) ?? (await this.#reads.get(execution_id));
    await this.#notes.add(known, text, data);
  }

  /**
   * Calls the listener with what happens to the execution from now on, in order. Subscribe first, then `get`: an
   * execution that had ended says nothing more. Returns the way out.
   * @throws ParleyError `resource_exhausted`.
   */
  subscribe(execution_id: string, listener: ExecutionListener): () => void {
    return this.#watchers.listen(execution_id, listener);
  }

  // The life of the server.

  /**
   * Reads what the time before left unfinished. Before the first `start` and the first agent link.
   * @returns root executions of sessions, which are not ours to end.
   */
  async recover(): Promise<{ sessions: ExecutionResource[]; recovered: number }> {
    const expires = this.#clock.now() + this.#limits.timeout_ms;
    const { waiting, given, sessions } = await findUnfinished(this.#store, expires);
    for (const entry of [...given, ...waiting]) {
      this.#ledger.add(entry);
      this.#arm(entry, this.#limits.timeout_ms);
    }
    for (const entry of waiting) this.#dispatcher.enqueue(entry);
    if (given.length > 0) {
      this.#deadlines.add(this.#limits.recovery_ms, () => {
        for (const entry of given) {
          if (entry.phase.kind === 'recovered') this.#ledger.end(entry, ENDINGS.serverRestarted(entry.agent));
        }
      });
    }
    return { sessions, recovered: waiting.length + given.length };
  }

  /**
   * Takes nothing new but what running work calls. Resolves when all that was given out has ended, or after
   * `deadline_ms`, with the number of executions that a later start will find.
   */
  async drain(deadline_ms: number): Promise<number> {
    this.#dispatcher.drain();
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
      this.#deadlines.add(deadline_ms, resolve);
      this.#checkDrained();
    });
    return this.#ledger.size;
  }

  /** Stops the timers. What is unfinished stays on disk as it is. */
  close(): void {
    this.#deadlines.clear();
  }

  #checkDrained(): void {
    if (!this.#drained) return;
    for (const { phase } of this.#ledger.values()) if (phase.kind !== 'waiting') return;
    this.#drained();
  }

  // What agents say.

  accepted(instance: Instance, execution_id: string): void {
    this.#dispatcher.accepted(instance, execution_id);
  }

  result(instance: Instance, frame: AgentFrameOf<'execution.result'>, frame_bytes: number): void {
    this.#dispatcher.result(instance, frame, frame_bytes);
  }

  noted(instance: Instance, frame: AgentFrameOf<'execution.note'>): void {
    this.#notes.take(this.#runs(instance, frame.execution_id), frame.text, frame.data);
  }

  cut(instance: Instance, clean: boolean): void {
    this.#dispatcher.cut(instance, clean);
  }

  returned(instance: Instance, in_flight: readonly string[]): { wanted: string[]; again: string[] } {
    return this.#dispatcher.returned(instance, in_flight);
  }

  resend(instance: Instance, execution_ids: readonly string[]): void {
    this.#dispatcher.resend(instance, execution_ids);
  }

  gone(instance: Instance): void {
    this.#dispatcher.gone(instance);
  }

  available(agent: string): void {
    this.#dispatcher.pump(agent);
  }

  runBy(instance: Instance, execution_id: string): ExecutionResource {
    return this.#runs(instance, execution_id).resource;
  }

  #runs(instance: Instance, execution_id: string): Entry {
    const entry = this.#ledger.get(execution_id);
    if (entry && entry.instance === instance) return entry;
    throw new ParleyError('permission_denied', `this instance does not run execution ${execution_id}`);
  }

  // The steps of a start, and the stop.

  async #check(request: StartExecution): Promise<Admission> {
    const { target, input = {} } = request;
    checkIds(request);
    const declaration = findFunction(this.#workforce, target);
    const text = checkInput(declaration, target, input, this.#limits);
    const parent =
      request.parent_execution_id === undefined ? undefined : this.#ledger.get(request.parent_execution_id);
    const family = await findFamily(request, parent, this.#store, this.#limits);
    if (this.#drained && !family.parent && family.session_id === undefined) {
      throw new ParleyError('unavailable', 'the server is draining');
    }
    return { declaration, text, family };
  }

  /** Takes it in. Its row must be committed in the same turn: an end that comes next is committed after it. */
  #admit(request: StartExecution, { declaration, text, family }: Admission): Entry {
    const timeout_ms = request.timeout_ms ?? declaration.timeout_ms ?? this.#limits.timeout_ms;
    const resource: ExecutionResource = {
      execution_id: request.execution_id ?? newId('execution'),
      workflow_id: family.workflow_id,
      target: request.target,
      kind: declaration.kind,
      status: 'queued',
      input: request.input === undefined ? {} : request.input,
      created_at_ms: this.#clock.wall(),
    };
    if (family.parent_execution_id !== undefined) resource.parent_execution_id = family.parent_execution_id;
    if (family.session_id !== undefined) resource.session_id = family.session_id;
    const expires = this.#clock.now() + timeout_ms;
    const entry = new Entry(resource, { input: text, declaration, parent: family.parent, expires });
    this.#ledger.admit(entry);
    this.#arm(entry, timeout_ms);
    // The row says whether it leaves at once or waits: after a crash that decides whether it may be given out again.
    if (!this.#dispatcher.assign(entry)) entry.resource = { ...resource, reason: WAITING };
    return entry;
  }

  /** It did not come to be: its row was refused. */
  #forget(entry: Entry): void {
    const { instance } = entry;
    this.#ledger.drop(entry);
    this.#dispatcher.released(entry, instance);
  }

  #arm(entry: Entry, timeout_ms: number): void {
    entry.deadline = this.#deadlines.add(timeout_ms, () => this.#stop(entry, ENDINGS.timedOut(), 'timeout'));
  }

  /** Ends it, tells its agent, and stops what it called. */
  #stop(entry: Entry, ending: Ending, reason: string): void {
    const { phase } = entry;
    const children = [...(entry.children ?? [])];
    if (!this.#ledger.end(entry, ending)) return;
    if (phase.kind === 'sent' || phase.kind === 'running') phase.instance.cancel(entry.id, reason);
    for (const child of children) this.#stop(child, ENDINGS.cancelled(`its caller ended: ${reason}`), reason);
  }

  #stopOrphan(entry: Entry, parent: Entry): void {
    try {
      refuseEnded(parent);
    } catch (error) {
      const { message } = ParleyError.from(error);
      this.#stop(entry, ENDINGS.cancelled(message), message);
    }
  }

  async #replay(claim: Claim, existing: { fingerprint: string; result: string }): Promise<ExecutionResource> {
    if (existing.fingerprint !== claim.fingerprint) {
      throw new ParleyError('already_exists', `Idempotency-Key '${claim.key}' was used for another request`);
    }
    const { execution_id } = JSON.parse(existing.result) as { execution_id: string };
    return this.#reads.get(execution_id);
  }
}
