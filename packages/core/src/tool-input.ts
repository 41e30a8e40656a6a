// Is the input of a tool what its author said it would be? The author's schema may use all of JSON Schema, so this is
// ajv's work and not that of check.ts.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { ParleyError } from './errors.ts';
import type { JsonSchema } from './json-schema.ts';

const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false, useDefaults: false, logger: false });
// Keyed by the schema object itself: a session keeps its tools, so each schema is compiled once.
const compiled = new WeakMap<JsonSchema, ValidateFunction>();

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
  if (NEEDS_COMPILING.test(JSON.stringify(schema))) {
    validatorOf(schema);
    return;
  }
  const { $id: _, $schema: __, ...rest } = schema;
  if (!ajv.validateSchema(rest)) {
    throw new ParleyError('invalid_argument', `input_schema is not a valid JSON Schema: ${ajv.errorsText()}`);
  }
}

function validatorOf(schema: JsonSchema): ValidateFunction {
  let validate = compiled.get(schema);
  if (validate) return validate;
  try {
    // An `$id` would be remembered by ajv and refused the second time.
    const { $id: _, $schema: __, ...rest } = schema;
    validate = ajv.compile(rest);
    // ajv would keep every schema that it ever saw.
    ajv.removeSchema(rest);
  } catch (error) {
    throw new ParleyError('invalid_argument', `input_schema is not a valid JSON Schema: ${(error as Error).message}`, {
      cause: error,
    });
  }
  compiled.set(schema, validate);
  return validate;
}
