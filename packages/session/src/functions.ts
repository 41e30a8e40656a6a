// Reasoners and skills as an author declares them.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type FunctionDeclaration, ParleyError, parseFunction, type SchemaLike } from '@parley/core';
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

/**
 * A function whose body is in a module of its own, and runs in a worker thread: for work that computes or blocks.
 *
 * @example
 * // digest.ts has: export default (({ path }) => ({ sha256: … })) satisfies FunctionBody<{ path: string }>;
 * support.skill('digest', {
 *   worker: new URL('./digest.ts', import.meta.url),
 *   input: z.object({ path: z.string() }),
 *   output: z.object({ sha256: z.string() }),
 * });
 */
export interface ThreadedFunctionOptions<Input extends SchemaLike = SchemaLike, Output extends SchemaLike = SchemaLike>
  extends FunctionOptions<Input, Output> {
  /**
   * The module, a `file:` address of JavaScript or of TypeScript that Node runs. Of its exports the one with the
   * function's name is the body, or else the default one; it has the form of any FunctionBody. Input and output are
   * cloned, after the one was parsed and before the other is checked.
   */
  worker: URL;
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
  /** What does it: a function here, or a module that is loaded in a thread. */
  readonly body: FunctionBody | URL;
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
  body: ((input: Parsed<S>, context: Context) => unknown) | URL,
): FunctionDefinition {
  if (body instanceof URL) checkModule(`${agent}.${name}`, body);
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
  return { declaration, input, output, body: body as FunctionBody | URL };
}

/** A module that is not there is found out now, and not when a caller waits. */
function checkModule(target: string, module: URL): void {
  if (module.protocol !== 'file:') {
    throw new ParleyError('invalid_argument', `the worker of ${target} must be a file: URL, got ${module.protocol}`);
  }
  if (!existsSync(module)) {
    throw new ParleyError('invalid_argument', `the worker of ${target} is not there: ${fileURLToPath(module)}`);
  }
}
