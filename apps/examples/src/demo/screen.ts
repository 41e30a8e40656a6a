// What the terminal shows: the parts, the conversation, the workflow.

import type { ToolUpdate } from '@parley/client';
import type { WorkflowNode, WorkflowResource } from '@parley/core';
import type { CallReport } from './conversation.ts';

const NO_WORDS = '(speech without words)';

export class Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #colour: boolean;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#colour = out.isTTY && !process.env['NO_COLOR'];
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`);
  }

  heading(text: string): void {
    this.line(`\n${this.#colour ? `\u001b[1m${text}\u001b[22m` : text}`);
  }

  said(track: 'user' | 'agent', text: string): void {
    if (text !== '' || track === 'user') this.line(`  ${track === 'user' ? 'you  ' : 'agent'}  ${text || NO_WORDS}`);
  }

  tool({ name, status, input, output, durationMs, error }: ToolUpdate): void {
    if (status === 'dispatched') this.line(`  ${this.#dim('tool ')}  ${name} ${JSON.stringify(input)}`);
    else if (status === 'succeeded')
      this.line(`  ${this.#dim('tool ')}  ${name} → ${JSON.stringify(output)} ${this.#dim(`${durationMs} ms`)}`);
    else if (status !== 'called') this.line(`  ${this.#dim('tool ')}  ${name} ${status}: ${error?.message ?? ''}`);
  }

  workflow(workflow: WorkflowResource): void {
    this.heading(`Workflow ${workflow.workflow_id}  ${workflow.status}`);
    const children = Map.groupBy(workflow.edges, ({ from }) => from);
    const nodes = new Map(workflow.nodes.map((node) => [node.execution_id, node]));
    const draw = (node: WorkflowNode, first: string, rest: string): void => {
      const time = node.duration_ms === undefined ? '' : `${node.duration_ms} ms`;
      this.line(`  ${first}${node.target}  ${this.#dim(`${node.kind} · ${node.status} · ${time}`)}`);
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

  summary({ turns, reply_audio_ms, reply_wav }: CallReport): void {
    const many = turns === 1 ? '1 turn' : `${turns} turns`;
    this.line(`\n  ${many}, answered with ${(reply_audio_ms / 1000).toFixed(1)} s of sound: ${reply_wav}`);
  }

  #dim(text: string): string {
    return this.#colour ? `\u001b[2m${text}\u001b[22m` : text;
  }
}
