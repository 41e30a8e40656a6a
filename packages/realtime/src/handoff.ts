// Handing the conversation to another agent, as a tool that the model may call.

import { compileType, type Parsed, type SchemaLike, type Type } from '@parley/core';
import type { RealtimeAgent } from './agent.ts';
import type { MaybePromise, RunContext } from './context.ts';
import { checkToolName } from './tool.ts';

export interface HandoffOptions<S extends SchemaLike, C> {
  /** Default `transfer_to_NAME`. */
  toolNameOverride?: string;
  toolDescriptionOverride?: string;
  /** What the model has to say with it: zod 4, zod 3 or JSON Schema. */
  inputType?: S;
  /** Runs before the other agent takes over; when it throws, the conversation stays where it is and the model is told. */
  onHandoff?(context: RunContext<C>, input: Parsed<S>): MaybePromise<void>;
  isEnabled?: boolean | ((context: RunContext<C>) => MaybePromise<boolean>);
  /** Whether the other agent may hand the conversation back, without naming this one among its own handoffs. */
  wayBack?: boolean;
}

export interface Handoff<C = unknown> {
  readonly type: 'handoff';
  readonly agent: RealtimeAgent<C>;
  readonly toolName: string;
  readonly toolDescription: string;
  readonly inputType: Type | null;
  readonly wayBack: boolean;
  onHandoff(context: RunContext<C>, input: unknown): MaybePromise<void>;
  isEnabled(context: RunContext<C>): MaybePromise<boolean>;
}

/**
 * A handoff with a name, an input or a condition of its own. An agent may also be listed among `handoffs` as it is.
 *
 * @example
 * const triage = new RealtimeAgent({
 *   name: 'triage',
 *   handoffs: [handoff(billing, { inputType: z.object({ reason: z.string() }), wayBack: true })],
 * });
 */
export function handoff<C = unknown, S extends SchemaLike = SchemaLike>(
  agent: RealtimeAgent<C>,
  options: HandoffOptions<S, C> = {},
): Handoff<C> {
  const toolName =
    options.toolNameOverride ?? `transfer_to_${agent.name.replaceAll(/[^A-Za-z0-9_-]+/g, '_')}`.slice(0, 64);
  checkToolName(toolName);
  const { isEnabled = true } = options;
  return {
    type: 'handoff',
    agent,
    toolName,
    toolDescription:
      options.toolDescriptionOverride ??
      `Hands the conversation to ${agent.name}.${agent.handoffDescription === '' ? '' : ` ${agent.handoffDescription}`}`,
    inputType: options.inputType
      ? compileType(options.inputType, `the input of handoff '${toolName}'`, 'invalid_argument')
      : null,
    wayBack: options.wayBack ?? false,
    onHandoff: (context, input) => options.onHandoff?.(context, input as Parsed<S>),
    isEnabled: (context) => (typeof isEnabled === 'function' ? isEnabled(context) : isEnabled),
  };
}

/** The same under the name that Python has for it. */
export const realtimeHandoff = handoff;
