// The execution engine. A happy execution is two durable units: its row before it is given out, its end before anybody
// hears of it. `running` is kept in memory and put into what is read (reads.ts); the ledger ends executions, the
// dispatcher knows who has them, and this page is what the rest of the server calls.

import {
  type AgentFrameOf,
  type BatchStatusResponse,
  type ExecutionResource,
  isTerminal,
  ParleyError,
  type WorkflowResource,
} from '@parley/core';
import { machineClock, type ServerClock } from '../agents/clock.ts';
import { Deadlines } from '../agents/deadlines.ts';
import type { ExecutionEngine, StartExecution } from '../agents/ports.ts';
import { type ExecutionHost, type Instance, type Log, quiet, type Workforce } from '../agents/work.ts';
import type { ExecutionQuery, Store } from '../store/store.ts';
import { Dispatcher } from './dispatcher.ts';
import { ENDINGS } from './ending.ts';
import type { Entry } from './entry.ts';
import { Ledger } from './ledger.ts';
import { EXECUTION_LIMITS, type ExecutionLimits } from './limits.ts';
import { Notes } from './notes.ts';
import { type ExecutionPage, Reads } from './reads.ts';
import { findUnfinished } from './recovery.ts';
import { type Claim, Starts } from './starts.ts';
import { type ExecutionListener, Watchers } from './watchers.ts';

export interface ExecutionsOptions {
  store: Store;
  workforce: Workforce;
  limits?: Partial<ExecutionLimits>;
  clock?: ServerClock;
  log?: Log;
  /** Told of every end, once it is on disk. */
  ended?: (execution: ExecutionResource) => void;
}

export class Executions implements ExecutionEngine, ExecutionHost {
  readonly #store: Store;
  readonly #limits: ExecutionLimits;
  readonly #clock: ServerClock;
  readonly #deadlines: Deadlines;
  readonly #watchers: Watchers;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #reads: Reads;
  readonly #starts: Starts;
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
    const ledger = new Ledger({ store, clock, deadlines, watchers, limits, log, ended: options.ended ?? (() => {}) });
    const dispatcher = new Dispatcher({ store, workforce, ledger, watchers, clock, deadlines, limits, log });
    const reads = new Reads(store, ledger, limits.workflow_nodes_max);
    ledger.on(
      (entry, instance) => dispatcher.released(entry, instance),
      () => this.#checkDrained(),
    );
    this.#store = store;
    this.#limits = limits;
    this.#clock = clock;
    this.#deadlines = deadlines;
    this.#watchers = watchers;
    this.#ledger = ledger;
    this.#dispatcher = dispatcher;
    this.#reads = reads;
    this.#starts = new Starts({ store, workforce, ledger, dispatcher, reads, clock, deadlines, limits });
    this.#notes = new Notes({ store, watchers, clock, limits, log });
  }

  get running(): number {
    return this.#ledger.size;
  }

  /** Callers that wait for an end. */
  get waiting(): number {
    return this.#watchers.waiting;
  }

  start(request: StartExecution, claim?: Claim): Promise<ExecutionResource> {
    return this.#starts.start(request, claim);
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
    this.#starts.stop(entry, ENDINGS.cancelled(reason), reason);
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
      this.#starts.arm(entry, this.#limits.timeout_ms);
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
    this.#starts.drain();
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
}
