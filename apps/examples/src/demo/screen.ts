// What the terminal shows: the parts, the conversation, the workflow.

import type { ToolUpdate } from '@parley/client';
import type { WorkflowNode, WorkflowResource } from '@parley/core';

const colour = process.stderr.isTTY && !process.env['NO_COLOR'];
const dim = (text: string): string => (colour ? `\u001b[2m${text}\u001b[22m` : text);
const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[22m` : text);

export class Screen {
  readonly #out: NodeJS.WritableStream;

  constructor(out: NodeJS.WritableStream) {
    this.#out = out;
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`);
  }

  heading(text: string): void {
    this.line(`\n${bold(text)}`);
  }

  said(track: 'user' | 'agent', text: string): void {
    this.line(`  ${track === 'user' ? 'you  ' : 'agent'}  ${text}`);
  }

  tool({ name, status, input, output, durationMs, error }: ToolUpdate): void {
    if (status === 'dispatched') this.line(`  ${dim('tool ')}  ${name} ${JSON.stringify(input)}`);
    else if (status === 'succeeded')
      this.line(`  ${dim('tool ')}  ${name} → ${JSON.stringify(output)} ${dim(`${durationMs} ms`)}`);
    else if (status !== 'called') this.line(`  ${dim('tool ')}  ${name} ${status}: ${error?.message ?? ''}`);
  }

  workflow(workflow: WorkflowResource): void {
    this.heading(`Workflow ${workflow.workflow_id}  ${workflow.status}`);
    const children = Map.groupBy(workflow.edges, ({ from }) => from);
    const nodes = new Map(workflow.nodes.map((node) => [node.execution_id, node]));
    const draw = (node: WorkflowNode, first: string, rest: string): void => {
      const time = node.duration_ms === undefined ? '' : `${node.duration_ms} ms`;
      this.line(`  ${first}${node.target}  ${dim(`${node.kind} · ${node.status} · ${time}`)}`);
      const below = children.get(node.execution_id) ?? [];
      for (const [i, { to }] of below.entries()) {
        const child = nodes.get(to);
        const last = i === below.length - 1;
        if (child) draw(child, `${rest}${last ? '└─ ' : '├─ '}`, `${rest}${last ? '   ' : '│  '}`);
      }
    };
    const root = nodes.get(workflow.root_execution_id);
    if (root) draw(root, '', '');
  }
}
