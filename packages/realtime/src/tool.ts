// Functions that the model may call.

import {
  compileType,
  type ErrorObject,
  type JsonSchema,
  type Parsed,
  ParleyError,
  type SchemaLike,
  type Type,
} from '@parley/core';
import type { MaybePromise, RunContext, ToolContext } from './context.ts';
import type { ToolInputGuardrail, ToolOutputGuardrail } from './guard/tool-guardrail.ts';

/**
 * What becomes of a running call when the user speaks over the answer.
 * `finish`: it goes on, and ends with the session. `cancel`: its signal is aborted and the model is told so.
 * `detach`: nothing stops it, not even the end of the session; what it returns after that is heard by nobody.
 */
export type OnInterrupt = 'finish' | 'cancel' | 'detach';

export interface ToolOptions<S extends SchemaLike, C, R> {
  /** As the model calls it: letters, digits, `_` and `-`, up to 64. */
  name: string;
  description: string;
  /** zod 4, zod 3 or JSON Schema. Absent: the tool takes no input. */
  parameters?: S;
  execute(input: Parsed<S>, context: ToolContext<C>): MaybePromise<R>;
  /** Ask for a yes before it runs. A function that throws asks. */
  needsApproval?: boolean | ((context: RunContext<C>, input: Parsed<S>, callId: string) => MaybePromise<boolean>);
  /** Whether the model may use it now; asked when an agent begins, and again when a call comes. */
  isEnabled?: boolean | ((context: RunContext<C>) => MaybePromise<boolean>);
  /** Milliseconds for one run; waiting for an approval does not count. Default 90,000. */
  timeoutMs?: number;
  /** Default `finish`. */
  onInterrupt?: OnInterrupt;
  inputGuardrails?: readonly ToolInputGuardrail<C>[];
  outputGuardrails?: readonly ToolOutputGuardrail<C>[];
  /** What the model is told when it fails or runs out of time. Without it: the error, as JSON. */
  errorFunction?: ((error: ParleyError, context: RunContext<C>) => MaybePromise<string>) | undefined;
}

/** A tool, ready to be given to agents. Make one with {@link tool}. */
export interface RealtimeTool {
  readonly type: 'function';
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
  readonly timeoutMs: number | undefined;
  readonly onInterrupt: OnInterrupt;
  /** For the session; not part of what is documented. */
  readonly internal: ToolInternals;
}

export interface ToolInternals {
  readonly type: Type;
  /** JSON Schema was already held against the input when the call was judged. */
  readonly parses: boolean;
  execute(input: unknown, context: ToolContext): MaybePromise<unknown>;
  needsApproval(context: RunContext, input: unknown, callId: string): MaybePromise<boolean>;
  isEnabled(context: RunContext): MaybePromise<boolean>;
  readonly asks: 'never' | 'always' | 'sometimes';
  readonly inputGuardrails: readonly ToolInputGuardrail[];
  readonly outputGuardrails: readonly ToolOutputGuardrail[];
  readonly errorFunction: ((error: ParleyError, context: RunContext) => MaybePromise<string>) | undefined;
}

const NO_INPUT: JsonSchema = { type: 'object', properties: {}, additionalProperties: false };
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Declares a tool.
 *
 * @throws ParleyError `invalid_argument` for a name that no provider takes, or a schema that has no JSON form.
 * @example
 * const weather = tool({
 *   name: 'weather',
 *   description: 'Says what the weather is in a city.',
 *   parameters: z.object({ city: z.string() }),
 *   execute: async ({ city }, { signal }) => fetchWeather(city, signal),
 *   onInterrupt: 'cancel',
 * });
 */
export function tool<S extends SchemaLike = JsonSchema, C = unknown, R = unknown>(
  options: ToolOptions<S, C, R>,
): RealtimeTool {
  const { name, description, parameters, needsApproval = false, isEnabled = true } = options;
  checkToolName(name);
  const type = compileType(parameters ?? NO_INPUT, `the input of tool '${name}'`, 'invalid_argument');
  const execute = options.execute.bind(options) as unknown as ToolInternals['execute'];
  return {
    type: 'function',
    name,
    description,
    parameters: type.json,
    timeoutMs: options.timeoutMs,
    onInterrupt: options.onInterrupt ?? 'finish',
    internal: {
      type,
      parses: parameters !== undefined && 'safeParse' in parameters,
      execute,
      asks: needsApproval === true ? 'always' : needsApproval === false ? 'never' : 'sometimes',
      needsApproval: (context, input, callId) =>
        typeof needsApproval === 'function'
          ? needsApproval(context as RunContext<C>, input as Parsed<S>, callId)
          : needsApproval,
      isEnabled: (context) => (typeof isEnabled === 'function' ? isEnabled(context as RunContext<C>) : isEnabled),
      inputGuardrails: (options.inputGuardrails ?? []) as readonly ToolInputGuardrail[],
      outputGuardrails: (options.outputGuardrails ?? []) as readonly ToolOutputGuardrail[],
      errorFunction: options.errorFunction as ToolInternals['errorFunction'],
    },
  };
}

export function checkToolName(name: string): void {
  if (NAME.test(name)) return;
  throw new ParleyError(
    'invalid_argument',
    `a tool's name must be 1 to 64 of A-Z a-z 0-9 _ -, got '${name.slice(0, 80)}'`,
  );
}

const BACKGROUND = Symbol('parley.backgroundResult');

export interface BackgroundResult<T = unknown> {
  readonly [BACKGROUND]: true;
  readonly content: T;
}

/**
 * Marks a result that the model gets without being asked to speak about it.
 *
 * @example
 * const note = tool({
 *   name: 'note',
 *   description: 'Keeps a note.',
 *   parameters: z.object({ text: z.string() }),
 *   async execute({ text }) {
 *     await notes.add(text);
 *     return backgroundResult('noted');
 *   },
 * });
 */
export function backgroundResult<T>(content: T): BackgroundResult<T> {
  return { [BACKGROUND]: true, content };
}

export function isBackgroundResult(value: unknown): value is BackgroundResult {
  return typeof value === 'object' && value !== null && BACKGROUND in value;
}

/** A result as the model reads it: text as it is, everything else as JSON. */
export function resultText(result: unknown): string {
  if (typeof result === 'string') return result;
  try {
    return JSON.stringify(result ?? null) ?? 'null';
  } catch (error) {
    throw new ParleyError('internal', `the result of the tool has no JSON form: ${ParleyError.from(error).message}`, {
      cause: error,
    });
  }
}

export function errorText(error: ErrorObject): string {
  return JSON.stringify({ error: { code: error.code, message: error.message, retryable: error.retryable } });
}
