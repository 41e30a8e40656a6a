// What is read of executions: the store's rows, with what memory knows better about the unfinished ones. `running` is
// not written down when an execution starts to run; it is put in here.

import {
  type BatchStatusResponse,
  type ExecutionResource,
  foldWorkflow,
  isTerminal,
  ParleyError,
  type WorkflowResource,
} from '@parley/core';
import type { ExecutionQuery, Store } from '../store/store.ts';
import type { Ledger } from './ledger.ts';

export interface ExecutionPage {
  executions: ExecutionResource[];
  next_cursor?: string;
}

export class Reads {
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #nodes_max: number;

  constructor(store: Store, ledger: Ledger, workflow_nodes_max: number) {
    this.#store = store;
    this.#ledger = ledger;
    this.#nodes_max = workflow_nodes_max;
  }

  /** With its notes. @throws ParleyError `not_found`. */
  async get(execution_id: string): Promise<ExecutionResource> {
    const live = this.#ledger.get(execution_id) !== undefined;
    let stored = await this.#store.execution(execution_id);
    // It ended while it was read: the row may be older than that.
    if (live && !this.#ledger.get(execution_id)) stored = await this.#store.execution(execution_id);
    const found = stored ? this.#overlay(stored) : this.#ledger.get(execution_id)?.resource;
    if (!found) throw new ParleyError('not_found', `no execution ${execution_id}`);
    return found;
  }

  async batch(execution_ids: readonly string[]): Promise<BatchStatusResponse> {
    const executions = await this.#fresh(await this.#store.executionsById(execution_ids));
    const found = new Set(executions.map((one) => one.execution_id));
    return { executions, missing: execution_ids.filter((id) => !found.has(id)) };
  }

  /** @throws ParleyError `not_found`. */
  async workflow(workflow_id: string): Promise<WorkflowResource> {
    const rows = await this.#fresh(await this.#store.workflow(workflow_id, this.#nodes_max));
    const workflow = foldWorkflow(rows);
    if (!workflow) throw new ParleyError('not_found', `no workflow ${workflow_id}`);
    return workflow;
  }

  /** Newest first. `queued` and `running` are answered from memory, then come the sessions, which only the store has. */
  async list(query: ExecutionQuery, brief = true): Promise<ExecutionPage> {
    const { status, cursor } = query;
    if (status !== 'queued' && status !== 'running') {
      const { rows, next_cursor } = await this.#store.executions(query, brief);
      return page(await this.#fresh(rows), next_cursor);
    }
    const live = cursor?.startsWith('store:') ? [] : this.#live(query, brief);
    if (live.length >= query.limit) {
      const executions = live.slice(0, query.limit);
      const last = executions.at(-1);
      if (live.length > query.limit && last) return page(executions, `live:${positionOf(last)}`);
      return page(executions, status === 'running' ? 'store:' : undefined);
    }
    // A session is never queued; rows of others that say so are known better here.
    if (status === 'queued') return page(live, undefined);
    const stored = await this.#store.executions(
      { ...query, cursor: cursor?.startsWith('store:') ? cursor.slice(6) || undefined : undefined },
      brief,
    );
    const sessions = stored.rows.filter((row) => row.kind === 'session');
    return page([...live, ...sessions], stored.next_cursor === undefined ? undefined : `store:${stored.next_cursor}`);
  }

  #live(query: ExecutionQuery, brief: boolean): ExecutionResource[] {
    const after = query.cursor?.startsWith('live:') ? query.cursor.slice(5) : undefined;
    const matches: ExecutionResource[] = [];
    for (const { resource } of this.#ledger.values()) {
      if (resource.status !== query.status) continue;
      if (query.workflow_id !== undefined && resource.workflow_id !== query.workflow_id) continue;
      if (query.session_id !== undefined && resource.session_id !== query.session_id) continue;
      if (query.target !== undefined && resource.target !== query.target) continue;
      if (after !== undefined && positionOf(resource) >= after) continue;
      matches.push(resource);
    }
    matches.sort((a, b) => (positionOf(a) < positionOf(b) ? 1 : -1));
    return brief ? matches.slice(0, query.limit + 1).map(withoutPayload) : matches;
  }

  /** Rows as they are now. One that ended between the read and this is read again. */
  async #fresh(rows: ExecutionResource[]): Promise<ExecutionResource[]> {
    const ended = rows.filter(
      (row) => row.kind !== 'session' && !isTerminal(row.status) && !this.#ledger.get(row.execution_id),
    );
    if (ended.length === 0) return rows.map((row) => this.#overlay(row));
    const again = await this.#store.executionsById(ended.map((row) => row.execution_id));
    const byId = new Map(again.map((row) => [row.execution_id, row]));
    return rows.map((row) => {
      const newer = byId.get(row.execution_id);
      return this.#overlay(newer ? { ...row, ...ending(newer) } : row);
    });
  }

  #overlay(row: ExecutionResource): ExecutionResource {
    const entry = isTerminal(row.status) ? undefined : this.#ledger.get(row.execution_id);
    if (!entry) return row;
    const { reason: _, ...rest } = row;
    const { status, reason, started_at_ms } = entry.resource;
    return {
      ...rest,
      status,
      ...(reason === undefined ? {} : { reason }),
      ...(started_at_ms === undefined ? {} : { started_at_ms }),
    };
  }
}

function ending({ status, reason, error, started_at_ms, finished_at_ms, duration_ms }: ExecutionResource) {
  return { status, reason, error, started_at_ms, finished_at_ms, duration_ms };
}

function withoutPayload(execution: ExecutionResource): ExecutionResource {
  const { input: _, output: __, ...brief } = execution;
  return brief;
}

/** Sorts as the time of creation does, then as the id. */
function positionOf(execution: ExecutionResource): string {
  return `${String(execution.created_at_ms).padStart(16, '0')}:${execution.execution_id}`;
}

function page(executions: ExecutionResource[], next_cursor: string | undefined): ExecutionPage {
  return next_cursor === undefined ? { executions } : { executions, next_cursor };
}
