// Types that an author hands in: zod 4, zod 3 or JSON Schema. zod parses, so that its defaults and transforms apply;
// JSON Schema only checks.

import { ParleyError } from './errors.ts';
import { type JsonSchema, type SchemaLike, toJsonSchema } from './json-schema.ts';
import { checkInputSchema, inputProblem } from './tool-input.ts';
import type { z } from 'zod';

/** What a value of the schema is after it was parsed; `unknown` for JSON Schema. */
export type Parsed<S> = S extends z.ZodType ? z.output<S> : S extends { _output: infer Output } ? Output : unknown;
/** What a caller may hand in; `unknown` for JSON Schema. */
export type Unparsed<S> = S extends z.ZodType ? z.input<S> : S extends { _input: infer Input } ? Input : unknown;

export interface Type {
  /** As it is registered. */
  readonly json: JsonSchema;
  /** @throws ParleyError of the code that it was compiled with. */
  parse(value: unknown): Promise<unknown>;
}

interface Issue {
  path: readonly PropertyKey[];
  message: string;
}
type ParseResult = { success: true; data: unknown } | { success: false; error: { issues: readonly Issue[] } };

/**
 * Compiles a schema once, when it is declared.
 * @param what the subject of messages: `the input of support.find_order`.
 * @param code of the error for a value that does not fit: the caller's fault for an input, ours for an output.
 * @throws ParleyError `invalid_argument` when it cannot be a JSON Schema.
 */
export function compileType(schema: SchemaLike, what: string, code: 'invalid_argument' | 'internal'): Type {
  const json = toJsonSchema(schema);
  checkInputSchema(json);
  const parser = schema as {
    safeParse: (value: unknown) => ParseResult;
    safeParseAsync: (value: unknown) => Promise<ParseResult>;
  };
  const fail = (detail: string, path: string): ParleyError =>
    new ParleyError(code, `${what} is not valid: ${detail}`, { details: { path } });
  // Most schemas need no promise, which costs more than the parsing; one that does says so the first time.
  let waits = typeof parser.safeParse !== 'function';
  const outcome = (value: unknown): ParseResult | Promise<ParseResult> => {
    if (!waits) {
      try {
        return parser.safeParse(value);
      } catch (error) {
        if (!isAsync(error)) throw error;
        waits = true;
      }
    }
    return parser.safeParseAsync(value);
  };
  return {
    json,
    async parse(value) {
      if (typeof parser.safeParseAsync !== 'function') {
        const problem = inputProblem(json, value);
        if (problem) throw fail(problem, problem.split(' ', 1)[0] ?? '');
        return value;
      }
      const parsed = outcome(value);
      const result = parsed instanceof Promise ? await parsed : parsed;
      if (result.success) return result.data;
      const issue = result.error.issues[0];
      const path = issue ? issue.path.map(String).join('.') : '';
      throw fail(`${path === '' ? '' : `${path}: `}${issue?.message ?? 'it does not fit'}`, path);
    },
  };
}

/** zod's word for a check that returned a promise: a class of its own in zod 4, a text in zod 3. */
function isAsync(error: unknown): boolean {
  return error instanceof Error && /async/i.test(`${error.constructor.name} ${error.message}`);
}
