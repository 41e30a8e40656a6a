// What the control plane keeps. A small interface from the first day; each driver passes the same suite.
//
// P1  `commit` resolves only when everything in its unit is on disk. A unit is applied whole or not at all.
// P2  Units are applied in the order of their commit calls; a read sees every unit committed before it was asked for.
// P3  Drivers work off the event loop and put many units into one transaction.

import type {
  ErrorObject,
  EventRecord,
  ExecutionResource,
  ExecutionStatus,
  ParleyError,
  SessionResource,
  SessionStatus,
} from '@parley/core';

/** The outcome of a request that carried an `Idempotency-Key`, kept so that the same key gives the same answer. */
export interface ClaimRow {
  /** Who may reuse the key: the route and the caller. */
  scope: string;
  key: string;
  /** SHA-256 of the request; the same key with another request is refused. */
  fingerprint: string;
  /** JSON: enough to answer again (ids). */
  result: string;
  at_ms: number;
}

export interface KeyRow {
  key_id: string;
  /** SHA-256 of the key, hex. The key itself is shown once and never kept. */
  hash: string;
  name: string;
  scopes: string[];
  created_at_ms: number;
  revoked_at_ms?: number | undefined;
}

export interface NoteRow {
  execution_id: string;
  at_ms: number;
  text: string;
  /** JSON text. */
  data?: string | undefined;
}

/** A stored entry of a log: `json` is the whole record, serialised once by whoever appended it. */
export interface StoredEvent {
  seq: number;
  at_ms: number;
  type: string;
  json: string;
}

export type Write =
  | { op: 'session.insert'; session: SessionResource }
  | { op: 'session.update'; session: SessionResource }
  | { op: 'events.append'; session_id: string; events: StoredEvent[] }
  | { op: 'execution.insert'; execution: ExecutionResource }
  /**
   * Applied only while the stored status is not terminal: the first end of an execution wins. The input and the ids are
   * those of the insert; an update leaves them alone.
   */
  | { op: 'execution.update'; execution: ExecutionResource }
  | { op: 'note.insert'; note: NoteRow }
  /** The unit is refused whole when the (scope, key) is there already. Must be the first write of its unit. */
  | { op: 'claim.insert'; claim: ClaimRow }
  | { op: 'key.insert'; key: KeyRow }
  | { op: 'key.revoke'; key_id: string; at_ms: number };

export type Committed = { ok: true } | { ok: false; existing: ClaimRow };

export interface SessionQuery {
  status?: SessionStatus | undefined;
  agent?: string | undefined;
  target?: string | undefined;
  /** 1 to 200. */
  limit: number;
  /** Opaque, from the page before. */
  cursor?: string | undefined;
}

export interface ExecutionQuery {
  workflow_id?: string | undefined;
  session_id?: string | undefined;
  target?: string | undefined;
  status?: ExecutionStatus | undefined;
  limit: number;
  cursor?: string | undefined;
}

export interface Store {
  /**
   * Applies the unit whole. Rejects with `already_exists` or `not_found` for a row that is there or is not,
   * `resource_exhausted` when too much waits or the disk is full, `aborted` when a commit called before it failed for
   * the disk's sake, `unavailable` when the store is closed or broken. Nothing of a rejected unit was kept.
   */
  commit(unit: Write[]): Promise<Committed>;

  session(session_id: string): Promise<SessionResource | null>;
  /** Newest first. */
  sessions(query: SessionQuery): Promise<{ rows: SessionResource[]; next_cursor?: string }>;
  /** Sessions that are not closed: what a restart has to end. */
  unfinishedSessions(): Promise<SessionResource[]>;
  /**
   * Entries with `seq > after`, in order, at most `limit` of them (1 to 10 000; fewer once a page passes 8 MiB), and the
   * last seq of the log.
   */
  events(session_id: string, after: number, limit: number): Promise<{ events: StoredEvent[]; last_seq: number }>;

  /** With its notes. */
  execution(execution_id: string): Promise<ExecutionResource | null>;
  executionsById(execution_ids: readonly string[]): Promise<ExecutionResource[]>;
  /** Newest first, without input and output when `brief`. `limit` is 1 to 200; a page also ends once it passes 8 MiB. */
  executions(query: ExecutionQuery, brief?: boolean): Promise<{ rows: ExecutionResource[]; next_cursor?: string }>;
  /** All of one workflow up to `limit`, oldest first, without input and output; `notes` has an empty object for each note. */
  workflow(workflow_id: string, limit: number): Promise<ExecutionResource[]>;
  unfinishedExecutions(): Promise<ExecutionResource[]>;

  claim(scope: string, key: string): Promise<ClaimRow | null>;
  keys(): Promise<KeyRow[]>;

  /** What a metrics page shows. */
  stats(): StoreStats;
  /** Waits for what was committed, then closes the files. Later calls are refused with `unavailable`. */
  close(): Promise<void>;
}

export interface StoreStats {
  units_waiting: number;
  transactions: number;
  units: number;
  /** The worst and the latest time of one transaction. */
  transaction_ms_max: number;
  transaction_ms_last: number;
}

export interface StoreOptions {
  /** Directory of the embedded database; made when it is not there, mode 0700. ':memory:' for tests. */
  directory: string;
  /** Units that may wait at once; past it `commit` is refused with `resource_exhausted`. Default 100 000. */
  units_max?: number;
  /** Text of units that may wait at once, counted in characters. Default 256 MiB. */
  waiting_bytes_max?: number;
  /** Reads that may wait at once; past it they are refused with `resource_exhausted`. Default 10 000. */
  reads_max?: number;
  /** The database grows to this and no further; then commits are refused with `resource_exhausted`. Default 256 GiB. */
  database_bytes_max?: number;
  /** Called once when the store broke: what waited was refused with `unavailable`, and so is everything after. */
  onFailure?: (error: ParleyError) => void;
}

export type { ErrorObject, EventRecord };
