// The workflow as a tree of boxes: each execution below the one that called it.

import type { WorkflowNode, WorkflowResource } from '@parley/core';
import { elements } from './elements.ts';

/** Executions that are drawn; the rest is counted. */
const NODES_MAX = 200;
/** While something runs, what it calls is looked for so often. */
const LOOK_AGAIN_MS = 1000;

/** Draws when asked, one request at a time; asked meanwhile, once more afterwards. */
export class WorkflowView {
  readonly #load: () => Promise<WorkflowResource>;
  readonly #failed: (error: unknown) => void;
  #loading = false;
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(load: () => Promise<WorkflowResource>, failed: (error: unknown) => void) {
    this.#load = load;
    this.#failed = failed;
    elements.workflow.replaceChildren();
  }

  async redraw(): Promise<void> {
    this.#again = true;
    if (this.#loading) return;
    this.#loading = true;
    clearTimeout(this.#timer);
    try {
      while (this.#again) {
        this.#again = false;
        const workflow = await this.#load();
        elements.workflow.replaceChildren(drawn(workflow));
        if (works(workflow)) this.#timer = setTimeout(() => void this.redraw(), LOOK_AGAIN_MS);
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#loading = false;
    }
  }
}

function works({ nodes, root_execution_id }: WorkflowResource): boolean {
  return nodes.some(
    ({ execution_id, status }) => execution_id !== root_execution_id && (status === 'queued' || status === 'running'),
  );
}

function drawn({ nodes, edges, root_execution_id, total_nodes }: WorkflowResource): DocumentFragment {
  const lists = new Map<string, HTMLUListElement>();
  const root = document.createElement('ul');
  const parents = new Map(edges.map(({ from, to }) => [to, from]));
  // A parent always stands before its children.
  for (const node of nodes.slice(0, NODES_MAX)) {
    const item = document.createElement('li');
    const list = document.createElement('ul');
    item.append(box(node), list);
    lists.set(node.execution_id, list);
    const parent = lists.get(parents.get(node.execution_id) ?? '');
    if (node.execution_id === root_execution_id) root.append(item);
    else (parent ?? root).append(item);
  }
  for (const list of lists.values()) if (list.children.length === 0) list.remove();
  const fragment = document.createDocumentFragment();
  fragment.append(root);
  if (total_nodes > NODES_MAX) {
    const more = document.createElement('small');
    more.textContent = `and ${total_nodes - NODES_MAX} more`;
    fragment.append(more);
  }
  return fragment;
}

function box({ target, kind, status, duration_ms, error }: WorkflowNode): HTMLDivElement {
  const element = document.createElement('div');
  element.className = `node ${status}`;
  element.dataset['target'] = target;
  const details = document.createElement('small');
  const time = duration_ms === undefined ? '' : ` · ${lasting(duration_ms)}`;
  details.textContent = `${kind} · ${status}${time}${error ? ` · ${error.message}` : ''}`;
  element.append(target, details);
  return element;
}

function lasting(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
