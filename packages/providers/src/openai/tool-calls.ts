// The tools that the model asked for, each call once.

import type { ModelEvent } from '@parley/core';
import { textIn, type Wire } from './wire.ts';

/** Call ids that are remembered. */
const CALLS_MAX = 1024;

export class ToolCalls {
  readonly #seen = new Set<string>();
  readonly #emit: (event: ModelEvent) => void;

  constructor(emit: (event: ModelEvent) => void) {
    this.#emit = emit;
  }

  made(call_id: string): boolean {
    return this.#seen.has(call_id);
  }

  /** An item is done. It is a call only when it is complete: an interrupted one has half of its arguments. */
  done(item: Wire, response_id: string | undefined): void {
    const call_id = textIn(item, 'call_id');
    const name = textIn(item, 'name');
    if (item['type'] !== 'function_call' || item['status'] !== 'completed') return;
    if (call_id === undefined || name === undefined || this.#seen.has(call_id)) return;
    if (this.#seen.size >= CALLS_MAX) {
      const [oldest] = this.#seen;
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#seen.add(call_id);
    this.#emit({
      type: 'tool.called',
      call_id,
      name,
      arguments: textIn(item, 'arguments') ?? '',
      source: 'model',
      ...(response_id === undefined ? {} : { response_id }),
    });
  }
}
