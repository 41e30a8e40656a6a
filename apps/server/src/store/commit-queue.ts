// Units on their way to the writer. What gathers while a transaction runs becomes the next one (group commit).

import { ParleyError } from '@parley/core';
import type { Committed, StoreStats, Write } from './store.ts';
import { type Cell, encodeUnit, type GroupAnswer, type GroupMessage, type WireError } from './wire.ts';

/** Bounds of one transaction. */
const GROUP_UNITS_MAX = 2_000;
const GROUP_BYTES_MAX = 8 * 1024 * 1024;
/** One group is being written while the next one waits in the worker, so the worker never waits for this loop. */
const GROUPS_IN_FLIGHT = 2;

const COMMITTED: Committed = Object.freeze({ ok: true });

interface Waiter {
  resolve(value: Committed): void;
  reject(error: Error): void;
}

interface Group {
  cells: Cell[];
  bytes: number;
  waiters: Waiter[];
}

export interface CommitQueueOptions {
  units_max: number;
  waiting_bytes_max: number;
  send(message: GroupMessage): void;
}

export class CommitQueue {
  private readonly options: CommitQueueOptions;
  private readonly waiting: Group[] = [];
  private readonly flying: Group[] = [];
  private scheduled = false;
  private epoch = 0;
  private units_waiting = 0;
  private bytes_waiting = 0;
  /** Who waits until everything before them was answered: how many groups are still before each. */
  private marks: { groups: number; run: () => void }[] = [];
  private readonly counts = { transactions: 0, units: 0, transaction_ms_max: 0, transaction_ms_last: 0 };

  constructor(options: CommitQueueOptions) {
    this.options = options;
  }

  commit(unit: readonly Write[]): Promise<Committed> {
    const { units_max, waiting_bytes_max } = this.options;
    if (this.units_waiting >= units_max || this.bytes_waiting >= waiting_bytes_max) {
      const details = { units_waiting: this.units_waiting, units_max, bytes_waiting: this.bytes_waiting };
      const message = `the store has ${this.units_waiting} units waiting for the disk (at most ${units_max} units or ${waiting_bytes_max} bytes may)`;
      return Promise.reject(new ParleyError('resource_exhausted', message, { retry_after_ms: 100, details }));
    }
    const group = this.openGroup();
    let bytes: number;
    try {
      bytes = encodeUnit(group.cells, unit);
    } catch (error) {
      return Promise.reject(ParleyError.from(error, 'invalid_argument'));
    }
    group.bytes += bytes;
    this.bytes_waiting += bytes;
    this.units_waiting++;
    this.schedule();
    return new Promise((resolve, reject) => group.waiters.push({ resolve, reject }));
  }

  /** Runs `action` when every unit committed before this call was answered; at once when there is none. */
  afterCommits(action: () => void): void {
    const groups = this.flying.length + this.waiting.length;
    if (groups === 0) action();
    else this.marks.push({ groups, run: action });
  }

  answered(answer: GroupAnswer): void {
    const group = this.flying.shift();
    if (!group) throw new Error('the writer answered a group that was not sent');
    this.counts.transactions++;
    this.counts.transaction_ms_last = answer.transaction_ms;
    this.counts.transaction_ms_max = Math.max(this.counts.transaction_ms_max, answer.transaction_ms);
    if (answer.ok) this.settle(group, answer.exceptions);
    else {
      this.refuse(group, answer.error);
      // Units behind a failed one may build on it (the next entries of a log): those called before this was known fail too.
      if (answer.epoch > this.epoch) {
        this.epoch = answer.epoch;
        const behind = {
          code: 'aborted',
          message: 'a write before this one failed; nothing of this one was kept',
        } as const;
        for (const later of this.waiting.splice(0)) {
          this.refuse(later, behind);
          this.passed();
        }
      }
    }
    this.passed();
    this.send(false);
  }

  /** Everything that waits is refused: the writer is gone. */
  fail(error: WireError): void {
    for (const group of [...this.flying.splice(0), ...this.waiting.splice(0)]) this.refuse(group, error);
    for (const mark of this.marks.splice(0)) mark.run();
  }

  stats(): StoreStats {
    return { units_waiting: this.units_waiting, ...this.counts };
  }

  private openGroup(): Group {
    const last = this.waiting.at(-1);
    if (last && last.waiters.length < GROUP_UNITS_MAX && last.bytes < GROUP_BYTES_MAX) return last;
    const group: Group = { cells: [], bytes: 0, waiters: [] };
    this.waiting.push(group);
    return group;
  }

  // At the end of the turn of the loop, so that all its units go together.
  private schedule(): void {
    if (this.scheduled || this.flying.length >= GROUPS_IN_FLIGHT) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.send(true);
    });
  }

  private send(end_of_turn: boolean): void {
    while (this.flying.length < GROUPS_IN_FLIGHT && this.waiting.length > 0) {
      if (!end_of_turn && this.scheduled) return;
      const group = this.waiting.shift() as Group;
      // Its only unit could not be encoded; a mark may stand behind it.
      if (group.waiters.length === 0) {
        this.passed();
        continue;
      }
      this.flying.push(group);
      this.options.send({ kind: 'group', epoch: this.epoch, units: group.waiters.length, cells: group.cells });
      group.cells = [];
    }
  }

  private settle(group: Group, exceptions: Extract<GroupAnswer, { ok: true }>['exceptions']): void {
    this.release(group);
    let next = 0;
    for (let index = 0; index < group.waiters.length; index++) {
      const waiter = group.waiters[index] as Waiter;
      const exception = exceptions[next];
      if (exception?.index !== index) {
        this.counts.units++;
        waiter.resolve(COMMITTED);
        continue;
      }
      next++;
      if ('error' in exception) waiter.reject(new ParleyError(exception.error.code, exception.error.message));
      else waiter.resolve({ ok: false, existing: exception.existing });
    }
  }

  private refuse(group: Group, error: WireError): void {
    this.release(group);
    for (const waiter of group.waiters) waiter.reject(new ParleyError(error.code, error.message));
  }

  private release(group: Group): void {
    this.units_waiting -= group.waiters.length;
    this.bytes_waiting -= group.bytes;
  }

  private passed(): void {
    if (this.marks.length === 0) return;
    for (const mark of this.marks) mark.groups--;
    const ready = this.marks.filter((mark) => mark.groups <= 0);
    this.marks = this.marks.filter((mark) => mark.groups > 0);
    for (const mark of ready) mark.run();
  }
}
