// What an agent and its threads say to each other. Everything but inputs and outputs is small; those are cloned.

import type { ErrorObject } from '@parley/core';
import type { LogLevel } from './log.ts';

/** One run of one function, as a thread is told of it. */
export interface ThreadRun {
  type: 'run';
  /** Address of the module, and the name of the export that is wanted before its default one. */
  module: string;
  name: string;
  input: unknown;
  executionId: string;
  workflowId: string;
  sessionId: string | undefined;
  parentExecutionId: string | undefined;
}

/** To a thread. */
export type ThreadOrder =
  | ThreadRun
  | { type: 'abort'; error: ErrorObject }
  | { type: 'reply'; call: number; output: unknown }
  | { type: 'refused'; call: number; error: ErrorObject };

/** From a thread, about the run that it does. */
export type ThreadReport =
  | { type: 'done'; output: unknown }
  | { type: 'failed'; error: ErrorObject; stack: string | undefined }
  | { type: 'note'; text: string; data: unknown }
  | { type: 'call'; call: number; target: string; input: unknown }
  | { type: 'cancel'; call: number; error: ErrorObject }
  | { type: 'log'; level: LogLevel; message: string; fields: Record<string, unknown> | undefined };

/** Runs are counted, so that what a run that is over still says is told from what the next one says. */
export type Numbered<Message> = Message & { run: number };
