// Is the input of a tool what its author said it would be? The author's schema may use all of JSON Schema, so this is
// ajv's work and not that of check.ts.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { ParleyError } from './errors.ts';
import type { JsonSchema } from './json-schema.ts';

const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false, useDefaults: false, logger: false });
// By the schema object itself, which costs nothing to look up, and behind it by the schema's text: sessions that declare the
// same tool have objects of their own, and compiling for each would cost each a third of a millisecond and code of its own.
const compiled = new WeakMap<JsonSchema, ValidateFunction>();
const byText = new Map<string, ValidateFunction>();
const TEXTS_MAX = 1_000;
const TEXT_LENGTH_MAX = 16_384;

/** The first problem of `input`, in words, or null. A schema that cannot be compiled is a problem of its own. */
export function inputProblem(schema: JsonSchema | undefined, input: unknown): string | null {
  if (schema === undefined) return null;
  const validate = validatorOf(schema);
  if (validate(input)) return null;
  const first = validate.errors?.[0];
  const where = first?.instancePath ? first.instancePath.slice(1).replaceAll('/', '.') : 'input';
  return `${where} ${first?.message ?? 'is not valid'}`;
}

/** Keywords of which only a compiler can say whether they hold: references and regular expressions. */
const NEEDS_COMPILING = /"(?:\$(?:dynamic)?[rR]ef|pattern|patternProperties)":/;

/**
 * Makes sure that a schema can be used, when it is registered rather than when a call needs it. Compiling takes a third
 * of a millisecond, and an agent may register a thousand schemas at once, so a plain schema is only held against the
 * meta-schema here and compiled by the first call that needs it.
 * @throws ParleyError `invalid_argument`.
 */
export function checkInputSchema(schema: JsonSchema): void {
  if (compiled.has(schema)) return;
  const { $id: _, $schema: __, ...rest } = schema;
  if (NEEDS_COMPILING.test(textOf(rest))) {
    validatorOf(schema);
    return;
  }
  if (!ajv.validateSchema(rest)) {
    throw new ParleyError('invalid_argument', `input_schema is not a valid JSON Schema: ${ajv.errorsText()}`);
  }
}

function validatorOf(schema: JsonSchema): ValidateFunction {
  let validate = compiled.get(schema);
  if (validate) return validate;
  // An `$id` would be remembered by ajv and refused the second time.
  const { $id: _, $schema: __, ...rest } = schema;
  const text = textOf(rest);
  validate = byText.get(text) ?? compile(rest);
  compiled.set(schema, validate);
  keep(text, validate);
  return validate;
}

function compile(schema: JsonSchema): ValidateFunction {
  try {
    return ajv.compile(schema);
  } catch (error) {
    throw notASchema(error);
  } finally {
    // ajv would keep every schema that it ever saw.
    ajv.removeSchema(schema);
  }
}

function textOf(schema: JsonSchema): string {
  try {
    return JSON.stringify(schema);
  } catch (error) {
    throw notASchema(error);
  }
}

function notASchema(error: unknown): ParleyError {
  const message = `input_schema is not a valid JSON Schema: ${(error as Error).message}`;
  return new ParleyError('invalid_argument', message, { cause: error });
}

/** The texts that were asked for last stay. */
function keep(text: string, validate: ValidateFunction): void {
  if (text.length > TEXT_LENGTH_MAX) return;
  byText.delete(text);
  if (byText.size >= TEXTS_MAX) for (const oldest of byText.keys()) if (byText.delete(oldest)) break;
  byText.set(text, validate);
}
