// The workflow as a drawing: one row for each execution, indented below the one that called it.

import type { WorkflowNode, WorkflowResource } from '@parley/core';
import { elements } from './elements.ts';

const ROW = 46;
const INDENT = 28;
const WIDTH = 300;
const SVG = 'http://www.w3.org/2000/svg';

export function drawWorkflow(workflow: WorkflowResource | null): void {
  if (!workflow) {
    elements.workflow.replaceChildren();
    return;
  }
  const rows = inOrder(workflow);
  const rowOf = new Map(rows.map((node, row) => [node.execution_id, row]));
  const svg = make('svg', { viewBox: `0 0 ${WIDTH + workflow.max_depth * INDENT} ${rows.length * ROW}`, role: 'img' });
  svg.setAttribute('aria-label', `${workflow.total_nodes} executions, ${workflow.status}`);
  for (const { from, to } of workflow.edges) {
    const start = rowOf.get(from) ?? 0;
    const end = rowOf.get(to) ?? 0;
    const x = (rows[start]?.depth ?? 0) * INDENT + 12;
    svg.append(make('path', { d: `M${x} ${start * ROW + 38} V${end * ROW + 19} H${x + INDENT - 10}` }));
  }
  for (const [row, node] of rows.entries()) svg.append(drawNode(node, row));
  elements.workflow.replaceChildren(svg);
}

function drawNode(node: WorkflowNode, row: number): Element {
  const x = node.depth * INDENT;
  const y = row * ROW;
  const group = make('g', { class: node.status, 'data-target': node.target });
  const time = node.duration_ms === undefined ? '' : ` · ${node.duration_ms} ms`;
  group.append(
    make('rect', { x: x + 1, y: y + 1, width: WIDTH - 30, height: 37, rx: 8 }),
    label(x + 10, y + 17, node.target),
    label(x + 10, y + 31, `${node.kind} · ${node.status}${time}`, 'quiet'),
  );
  return group;
}

function inOrder({ nodes, edges, root_execution_id }: WorkflowResource): WorkflowNode[] {
  const byId = new Map(nodes.map((node) => [node.execution_id, node]));
  const children = Map.groupBy(edges, ({ from }) => from);
  const order: WorkflowNode[] = [];
  const visit = (id: string): void => {
    const node = byId.get(id);
    if (node) order.push(node);
    for (const { to } of children.get(id) ?? []) visit(to);
  };
  visit(root_execution_id);
  return order;
}

function label(x: number, y: number, text: string, name = ''): Element {
  const element = make('text', { x, y, class: name });
  element.textContent = text;
  return element;
}

function make(name: string, attributes: Record<string, string | number>): Element {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
