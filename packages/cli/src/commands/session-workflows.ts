// parley session workflows SESSION

import type { WorkflowNode, WorkflowResource } from '@parley/core';
import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { duration, table, write, writeJson } from '../output.ts';

export function sessionWorkflows(session: Command): void {
  session
    .command('workflows <session>')
    .alias('workflow')
    .description('the workflow of a session: every execution under it, as a tree')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { client, json } = contextOf(command);
      const workflow = await client.sessions.workflow(id);
      if (json) return writeJson(workflow);
      await write(tree(workflow));
    });
}

function tree(workflow: WorkflowResource): string {
  const children = new Map<string | undefined, WorkflowNode[]>();
  for (const node of workflow.nodes) {
    const siblings = children.get(node.parent_execution_id) ?? [];
    siblings.push(node);
    children.set(node.parent_execution_id, siblings);
  }
  const rows: string[][] = [];
  const root = workflow.nodes.find((node) => node.execution_id === workflow.root_execution_id);
  // A parent stands before its children; depth comes with the node, so no recursion can run away.
  const open = root ? [root] : [];
  for (let node = open.pop(); node; node = open.pop()) {
    const { depth, target, status, duration_ms, execution_id, error } = node;
    const why = error === undefined ? '' : `${error.code}: ${error.message}`;
    rows.push([`${'  '.repeat(depth)}${target}`, status, duration(duration_ms), execution_id, why]);
    open.push(...(children.get(execution_id) ?? []).toReversed());
  }
  return table(rows);
}
