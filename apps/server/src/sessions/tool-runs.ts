// The tool calls of a session as executions: begun when the log says so, and their end told to the log.

import { type EventOf, ParleyError, type PerformedEffect, type SessionResource } from '@parley/core';
import type { ExecutionEngine } from '../agents/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { SessionLog } from './log.ts';

type Dispatch = Extract<PerformedEffect, { kind: 'execution.dispatch' }>;
type Ended = Pick<EventOf<'tool.completed'>, 'status' | 'output' | 'error'>;

export interface ToolRunsOptions {
  session: SessionResource;
  executions: ExecutionEngine;
  log: SessionLog;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
  logger: Logger;
  now: () => number;
}

export class ToolRuns {
  readonly #options: ToolRunsOptions;
  /** Those that are being written: the engine does not know them yet. No more than there are calls in flight. */
  readonly #starting = new Map<string, Promise<unknown>>();

  constructor(options: ToolRunsOptions) {
    this.#options = options;
  }

  async dispatch(effect: Dispatch): Promise<void> {
    const { log, record, now } = this.#options;
    const { call_id, execution_id } = effect;
    const started_at_ms = now();
    const ended = await this.#run(effect);
    // It was answered in the meantime: the session has ended.
    const call = log.state.calls[call_id];
    if (!call) return;
    const duration_ms = now() - started_at_ms;
    record({ type: 'tool.completed', call_id, name: call.name, execution_id, duration_ms, ...ended });
  }

  async cancel(execution_id: string, reason: string): Promise<void> {
    const { executions, logger, session } = this.#options;
    try {
      // A call and its cancellation may be on disk in the same moment.
      await this.#starting.get(execution_id);
      await executions.cancel(execution_id, reason);
    } catch (error) {
      // It may have ended, or never begun, in the same moment.
      logger.debug({ session_id: session.session_id, execution_id, err: error }, 'cancel came too late');
    }
  }

  async #run({ execution_id, target, input, timeout_ms }: Dispatch): Promise<Ended> {
    const { executions, session } = this.#options;
    const { session_id, workflow_id, execution_id: parent_execution_id } = session;
    const within = { session_id, workflow_id, parent_execution_id };
    try {
      const starting = executions.start({ target, input, execution_id, timeout_ms, ...within });
      this.#starting.set(execution_id, starting);
      await starting.finally(() => this.#starting.delete(execution_id));
      const { status, output, error } = await executions.ended(execution_id);
      return {
        status: status as Ended['status'],
        ...(output === undefined ? {} : { output }),
        ...(error === undefined ? {} : { error }),
      };
    } catch (caught) {
      return { status: 'failed', error: ParleyError.from(caught, 'internal').toObject() };
    }
  }
}
