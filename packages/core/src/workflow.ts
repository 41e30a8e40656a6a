// A workflow is the tree of executions under one root. It is folded from the executions whenever somebody looks.

import type { ExecutionResource, WorkflowNode, WorkflowResource } from './contract/control.ts';
import type { ExecutionStatus } from './contract/events.ts';

const UNFINISHED: ReadonlySet<ExecutionStatus> = new Set(['queued', 'running']);

/** True when an execution of this status will not change any more. */
export function isTerminal(status: ExecutionStatus): boolean {
  return !UNFINISHED.has(status);
}

/**
 * Folds executions of one workflow, in any order, into its tree. An execution whose parent is not among them hangs
 * below the root. The workflow runs while any execution does; afterwards it ended as its root did: a failed child that
 * its parent dealt with is not a failed workflow.
 *
 * @returns null when there are no executions.
 */
export function foldWorkflow(executions: readonly ExecutionResource[]): WorkflowResource | null {
  const ordered = [...executions].sort(
    (a, b) => a.created_at_ms - b.created_at_ms || compare(a.execution_id, b.execution_id),
  );
  const root = ordered.find((one) => one.parent_execution_id === undefined) ?? ordered[0];
  if (!root) return null;
  const known = new Set(ordered.map((one) => one.execution_id));
  const children = new Map<string, ExecutionResource[]>();
  for (const one of ordered) {
    if (one === root) continue;
    const parent =
      one.parent_execution_id !== undefined && known.has(one.parent_execution_id)
        ? one.parent_execution_id
        : root.execution_id;
    const siblings = children.get(parent);
    if (siblings) siblings.push(one);
    else children.set(parent, [one]);
  }
  const nodes: WorkflowNode[] = [];
  const edges: { from: string; to: string }[] = [];
  const placed = new Set<string>();
  const place = (from: ExecutionResource, at: number): void => {
    const queue: [ExecutionResource, number][] = [[from, at]];
    placed.add(from.execution_id);
    for (let i = 0; i < queue.length; i++) {
      const [one, depth] = queue[i] as [ExecutionResource, number];
      nodes.push(nodeOf(one, depth));
      for (const child of children.get(one.execution_id) ?? []) {
        if (placed.has(child.execution_id)) continue;
        placed.add(child.execution_id);
        edges.push({ from: one.execution_id, to: child.execution_id });
        queue.push([child, depth + 1]);
      }
    }
  };
  place(root, 0);
  // Executions that name each other as parents reach no root; they are shown below it rather than not at all.
  for (const one of ordered) {
    if (placed.has(one.execution_id)) continue;
    edges.push({ from: root.execution_id, to: one.execution_id });
    place(one, 1);
  }
  const running = nodes.some((node) => !isTerminal(node.status));
  const workflow: WorkflowResource = {
    workflow_id: root.workflow_id,
    root_execution_id: root.execution_id,
    status: running ? 'running' : root.status,
    total_nodes: nodes.length,
    max_depth: nodes.reduce((max, node) => Math.max(max, node.depth), 0),
    nodes,
    edges,
  };
  if (root.session_id !== undefined) workflow.session_id = root.session_id;
  return workflow;
}

function nodeOf(one: ExecutionResource, depth: number): WorkflowNode {
  const { execution_id, parent_execution_id, session_id, target, kind, status, reason, error } = one;
  const { created_at_ms, started_at_ms, finished_at_ms, duration_ms, notes } = one;
  const node: WorkflowNode = { execution_id, target, kind, status, depth, created_at_ms, notes: notes?.length ?? 0 };
  return Object.assign(
    node,
    defined({ parent_execution_id, session_id, reason, started_at_ms, finished_at_ms, duration_ms, error }),
  );
}

function defined<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
