// Reasoners and skills as an author declares them.

import { type FunctionDeclaration, parseFunction, type SchemaLike } from '@parley/core';
import type { Context } from './context.ts';
import { compileType, type Parsed, type Type } from './schema.ts';

export interface FunctionOptions<Input extends SchemaLike = SchemaLike, Output extends SchemaLike = SchemaLike> {
  /** What the live model reads to decide whether to call it. */
  description?: string;
  /** zod 4, zod 3 or JSON Schema. zod parses the input, so defaults and transforms apply. */
  input?: Input;
  /** zod 4, zod 3 or JSON Schema. The output is checked before it leaves. */
  output?: Output;
  /** Milliseconds until it is cancelled and ends as timed_out. Default 90,000. */
  timeoutMs?: number;
  /** What happens to it when the user speaks over the answer that called it. Default `finish`. */
  onInterrupt?: 'finish' | 'cancel';
  /** Runs at the same time in one process; more wait. */
  maxConcurrent?: number;
  tags?: string[];
}

/** The work of a function. It stops when `context.signal` says so. */
export type FunctionBody<Input = unknown, Output = unknown> = (
  input: Input,
  context: Context,
) => Promise<Output> | Output;

export interface FunctionDefinition {
  readonly declaration: FunctionDeclaration;
  readonly input: Type | null;
  readonly output: Type | null;
  readonly body: FunctionBody;
}

/**
 * Names a function for `call`, and carries its types.
 *
 * @example
 * const find = support.skill('find_order', { input: z.object({ order: z.string() }) }, ({ order }) => orders.get(order));
 * const found = await context.call(find, { order: '42' }); // typed
 */
export interface FunctionRef<Input = unknown, Output = unknown> {
  readonly target: string;
  /** Only types: never set. */
  readonly types?: { input: Input; output: Output };
}

/** @throws ParleyError `invalid_argument`. */
export function defineFunction<S extends SchemaLike>(
  agent: string,
  kind: 'reasoner' | 'skill',
  name: string,
  options: FunctionOptions<S>,
  body: (input: Parsed<S>, context: Context) => unknown,
): FunctionDefinition {
  const input =
    options.input === undefined
      ? null
      : compileType(options.input, `the input of ${agent}.${name}`, 'invalid_argument');
  const output =
    options.output === undefined ? null : compileType(options.output, `the output of ${agent}.${name}`, 'internal');
  const wire = {
    name,
    kind,
    description: options.description,
    input_schema: input?.json,
    output_schema: output?.json,
    timeout_ms: options.timeoutMs,
    on_interrupt: options.onInterrupt,
    max_concurrent: options.maxConcurrent,
    tags: options.tags,
  };
  const declaration = parseFunction(
    Object.fromEntries(Object.entries(wire).filter(([, value]) => value !== undefined)),
  );
  // The input was parsed by `input` before the body sees it, which is what makes it a Parsed<S>.
  return { declaration, input, output, body: body as FunctionBody };
}
