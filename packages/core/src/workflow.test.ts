import { expect, test } from 'vitest';
import { problemOf } from './check.ts';
import type { ExecutionResource } from './contract/control.ts';
import { foldWorkflow, isTerminal } from './workflow.ts';

function execution(id: string, at: number, parent?: string): ExecutionResource {
  const one: ExecutionResource = {
    execution_id: id,
    workflow_id: 'w',
    target: 'a.f',
    kind: 'skill',
    status: 'succeeded',
    created_at_ms: at,
  };
  return parent === undefined ? one : { ...one, parent_execution_id: parent };
}

test('a tree of thousands is folded without recursion, each parent before its children', () => {
  const deep = Array.from({ length: 20_000 }, (_, i) => execution(`e${i}`, i, i === 0 ? undefined : `e${i - 1}`));
  const workflow = foldWorkflow(deep.reverse());
  expect(workflow).toMatchObject({ root_execution_id: 'e0', total_nodes: 20_000, max_depth: 19_999 });
  const seen = new Set<string>();
  for (const node of workflow?.nodes ?? []) {
    expect(node.parent_execution_id === undefined || seen.has(node.parent_execution_id)).toBe(true);
    seen.add(node.execution_id);
  }
});

test('what is folded fits the contract and leaves its input alone', () => {
  const given = [execution('b', 2, 'a'), execution('a', 1)];
  expect(problemOf('WorkflowResource', foldWorkflow(given))).toBeNull();
  expect(given.map((one) => one.execution_id)).toEqual(['b', 'a']);
});

test('only queued and running are not the end', () => {
  const all = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'unknown'] as const;
  expect(all.filter((status) => !isTerminal(status))).toEqual(['queued', 'running']);
});
