// One call of a tool: whose it is, and what ends it.

import { ParleyError } from '@parley/core';
import type { RealtimeAgent } from '../agent.ts';
import type { RunContext, ToolContext } from '../context.ts';
import type { Bound } from '../roster.ts';

export type CallStatus = 'succeeded' | 'failed' | 'cancelled' | 'timed_out';

export interface Call {
  readonly callId: string;
  readonly name: string;
  readonly bound: Bound | undefined;
  readonly agent: RealtimeAgent;
  readonly responseId: string | undefined;
  readonly itemId: string | undefined;
  readonly arguments: string;
  readonly executionId: string;
  readonly abort: Abort;
  startedMs: number;
  done: boolean;
}

/** An AbortController for those who look at its signal; most tools never do. */
export class Abort {
  #controller: AbortController | null = null;
  #reason: ParleyError | null = null;

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: ParleyError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** What the function of a call is given besides its input. */
export function toolContext(call: Call, run: RunContext): ToolContext {
  return {
    callId: call.callId,
    responseId: call.responseId,
    get signal() {
      return call.abort.signal;
    },
    context: run.context,
    agent: run.agent,
    get history() {
      return run.history;
    },
    get usage() {
      return run.usage;
    },
  };
}

/** The ids that events of a call carry. */
export function idsOf(call: Call): { itemId?: string; responseId?: string } {
  return {
    ...(call.itemId === undefined ? {} : { itemId: call.itemId }),
    ...(call.responseId === undefined ? {} : { responseId: call.responseId }),
  };
}

export function disabled(call: Call): ParleyError {
  return new ParleyError('failed_precondition', `tool '${call.name}' is not available now`);
}
