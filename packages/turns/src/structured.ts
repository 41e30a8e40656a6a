// Structured answers. Providers ask for strict schemas and promise answers that fit; backends pass both on unseen. So the
// schema is looked at before the turn, and the answer after it.

import { checkInputSchema, inputProblem, type JsonSchema, type ParleyError } from '@parley/core';
import { turnError } from './failures.ts';

/** How deep a schema is looked into. */
const DEPTH_MAX = 64;

/**
 * Makes sure that a schema can be asked for: a valid JSON Schema of an object, strict (each object has
 * `additionalProperties: false` and requires all its properties). A provider would refuse anything else, after the turn
 * was paid for in time.
 * @throws ParleyError `invalid_argument`, naming the place.
 */
export function checkOutputSchema(schema: JsonSchema): void {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema) || schema['type'] !== 'object') {
    throw turnError('invalid_argument', "outputSchema must be a JSON Schema with type 'object'");
  }
  try {
    checkInputSchema(schema);
  } catch (cause) {
    throw turnError('invalid_argument', 'outputSchema is not a valid JSON Schema', { cause });
  }
  const problem = strictProblem(schema, 'outputSchema', 0);
  if (problem !== null) throw turnError('invalid_argument', problem);
}

/**
 * The answer as JSON that fits the schema. Only white space around it is forgiven: whoever reads it next may not be.
 * @throws ParleyError `output_invalid` with the text in `details.assistant_text`, for a repair turn.
 */
export function parseStructured(schema: JsonSchema, assistantText: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(assistantText);
  } catch (cause) {
    const what = assistantText.trim() === '' ? 'it is empty' : 'it is not JSON';
    throw invalid(`${what} (${(cause as Error).message})`, assistantText);
  }
  const problem = inputProblem(schema, value);
  // ajv calls the whole "input"; here it is the answer.
  if (problem !== null) throw invalid(problem.replace(/^input /, 'the answer '), assistantText);
  return value;
}

function invalid(problem: string, assistantText: string): ParleyError {
  return turnError('output_invalid', `the answer does not fit outputSchema: ${problem}`, {
    details: { assistant_text: assistantText, problem },
  });
}

function strictProblem(schema: unknown, path: string, depth: number): string | null {
  if (depth > DEPTH_MAX) return `${path} is nested more than ${DEPTH_MAX} deep`;
  if (typeof schema !== 'object' || schema === null) return null;
  const node = schema as JsonSchema;
  const properties = node['properties'];
  if (node['type'] === 'object' || properties !== undefined) {
    if (node['additionalProperties'] !== false) return `${path} must have additionalProperties: false`;
    const required = new Set(Array.isArray(node['required']) ? (node['required'] as unknown[]) : []);
    for (const name of Object.keys((properties as object | undefined) ?? {})) {
      if (!required.has(name)) return `${path} must require '${name}' (make it nullable where it may be missing)`;
    }
  }
  for (const [where, child] of childrenOf(node)) {
    const problem = strictProblem(child, `${path}${where}`, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function* childrenOf(node: JsonSchema): Generator<[where: string, schema: unknown]> {
  for (const holder of ['properties', '$defs', 'definitions']) {
    const named = node[holder];
    if (typeof named !== 'object' || named === null) continue;
    for (const [name, child] of Object.entries(named))
      yield [holder === 'properties' ? `.${name}` : `.${holder}.${name}`, child];
  }
  if (node['items'] !== undefined) yield ['[]', node['items']];
  for (const holder of ['anyOf', 'oneOf', 'allOf']) {
    const list = node[holder];
    if (!Array.isArray(list)) continue;
    for (const [i, child] of list.entries()) yield [`.${holder}[${i}]`, child];
  }
}
