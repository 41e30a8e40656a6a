// A runner in the hands of a reasoner: the execution's cancellation stops the turn, and its events are notes of the
// execution, for whoever looks at the workflow.

import { LIMITS } from '@parley/core';
import type { AgentTurnEvent, TurnOptions } from './runner.ts';

/** What is needed of an execution: `Context` of `@parley/session` has it. */
export interface NoteTaker {
  readonly signal: AbortSignal;
  note(text: string, data?: unknown): void;
}

export interface NoteOptions {
  /** Which events become notes. Default: all but what the agent was told and what it thought. */
  accepts?: ((event: AgentTurnEvent) => boolean) | undefined;
  /** Leaves the metadata of the events out, which may hold output of commands. Default false. */
  summariesOnly?: boolean | undefined;
}

const NOT_NOTED: ReadonlySet<string> = new Set(['userMessage', 'reasoning']);

/**
 * Turn options that tie a turn to an execution.
 *
 * @example
 * coder.reasoner('fix', { input: z.object({ problem: z.string() }) }, async ({ problem }, context) => {
 *   const runner = await factory.runner({ workingDirectory, sandbox: 'workspace-write' });
 *   const { assistantText } = await runner.turn(problem, inExecution(context));
 *   return { spoken_response: assistantText };
 * });
 */
export function inExecution(
  context: NoteTaker,
  options: NoteOptions = {},
): Required<Pick<TurnOptions, 'signal' | 'onEvent'>> {
  const accepts = options.accepts ?? ((event) => !NOT_NOTED.has(event.kind));
  return {
    signal: context.signal,
    onEvent: (event) => {
      if (!accepts(event)) return;
      context.note(`${event.kind}: ${event.summary}`, options.summariesOnly ? undefined : dataOf(event));
    },
  };
}

/** A note takes so many bytes and no more, and what it refuses would end the turn that it is about. */
function dataOf({ metadata }: AgentTurnEvent): unknown {
  const bytes = Buffer.byteLength(JSON.stringify(metadata));
  return bytes <= LIMITS.payload_bytes_max ? metadata : { left_out_bytes: bytes };
}
