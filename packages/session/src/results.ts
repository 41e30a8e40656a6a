// Results that the server has not said to be on disk. They are kept over a cut link and sent again until
// `execution.settled` comes.

import type { ErrorObject, ExecutionResult } from '@parley/core';
import type { Clock, LinkConnection } from '@parley/transport';

interface Kept {
  text: string;
  over: LinkConnection | null;
  sentAt: number;
}

export class Results {
  readonly #kept = new Map<string, Kept>();
  readonly #route: (over: LinkConnection | null) => LinkConnection | null;
  readonly #clock: Clock;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(route: (over: LinkConnection | null) => LinkConnection | null, clock: Clock, bytesMax: number) {
    this.#route = route;
    this.#clock = clock;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#kept.size;
  }

  ids(): IterableIterator<string> {
    return this.#kept.keys();
  }

  has(execution_id: string): boolean {
    return this.#kept.has(execution_id);
  }

  /** True while a result waits for the server at the other end of this connection. */
  uses(connection: LinkConnection): boolean {
    return [...this.#kept.values()].some((kept) => kept.over === connection);
  }

  /**
   * Keeps a result and sends it.
   * @param output the output as JSON text.
   */
  keep(result: Omit<ExecutionResult, 'output'>, output: string | undefined, over: LinkConnection | null): void {
    const { execution_id, status, error } = result;
    let text = frameText(execution_id, status, output, error);
    if (this.#bytes + text.length > this.#bytesMax) {
      // An execution always ends with a result, so the one that finds no room ends with this.
      text = frameText(execution_id, 'failed', undefined, {
        code: 'resource_exhausted',
        message: `its output could not be kept: ${this.#bytesMax} bytes of results wait for the control plane`,
        retryable: false,
      });
    }
    this.#bytes += text.length;
    this.#kept.set(execution_id, { text, over, sentAt: Number.NEGATIVE_INFINITY });
    this.repeat(execution_id);
  }

  /** Sends a kept result, again or for the first time. */
  repeat(execution_id: string): void {
    const kept = this.#kept.get(execution_id);
    if (kept && this.#route(kept.over)?.send(kept.text)) kept.sentAt = this.#clock.now();
  }

  /** Sends every result that was not sent within the last `olderMs`. */
  repeatAll(olderMs: number): void {
    const before = this.#clock.now() - olderMs;
    for (const [id, kept] of this.#kept) {
      if (kept.sentAt <= before) this.repeat(id);
    }
  }

  /** After a cut: what the server does not want is forgotten. Results of other live links are left. */
  resumed(wanted: ReadonlySet<string>): void {
    for (const [id, kept] of this.#kept) {
      if (wanted.has(id)) this.repeat(id);
      else if (!kept.over?.up) this.settled(id);
    }
  }

  /** The server has it, or does not want it. */
  settled(execution_id: string): void {
    const kept = this.#kept.get(execution_id);
    if (!kept) return;
    this.#bytes -= kept.text.length;
    this.#kept.delete(execution_id);
  }
}

// The output is text already, so it is not serialised a second time.
function frameText(id: string, status: string, output: string | undefined, error: ErrorObject | undefined): string {
  const rest = JSON.stringify({ type: 'execution.result', execution_id: id, status, error });
  return output === undefined ? rest : `${rest.slice(0, -1)},"output":${output}}`;
}
