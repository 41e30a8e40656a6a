// JSON Schema of whatever somebody wrote a type in: zod 4, zod 3, or JSON Schema itself.

import { toJSONSchema, type z } from 'zod';
import { zodToJsonSchema } from 'zod-to-json-schema';
import { ParleyError } from './errors.ts';

export type JsonSchema = Record<string, unknown>;

/** A type as an author may hand it to us. */
export type SchemaLike = z.ZodType | { _def: unknown; safeParse: (value: unknown) => unknown } | JsonSchema;

/**
 * JSON Schema (2020-12 subset) of a zod 4 schema, a zod 3 schema or a JSON Schema, without `$schema`.
 * zod 4 goes through zod's own emitter, because zod-to-json-schema silently answers `{}` for it; zod 3 goes through
 * zod-to-json-schema, which is what that library is for.
 *
 * @throws ParleyError `invalid_argument` when the type has no JSON form (a Date, a transform) or comes out empty.
 * @example
 * toJsonSchema(z.object({ order: z.string() })) // { type: 'object', properties: { order: … }, required: ['order'] }
 */
export function toJsonSchema(schema: SchemaLike): JsonSchema {
  const emitted = emit(schema);
  const { $schema: _, ...rest } = emitted;
  // An emitter that does not know its input says nothing at all, which would let every input pass.
  if (isZod(schema) && Object.keys(rest).length === 0 && !acceptsAnything(schema)) {
    throw new ParleyError('invalid_argument', 'the schema has no JSON form: it came out empty');
  }
  return rest;
}

function emit(schema: SchemaLike): JsonSchema {
  if (typeof schema !== 'object' || schema === null) {
    throw new ParleyError('invalid_argument', `expected a zod schema or a JSON Schema, got ${typeof schema}`);
  }
  try {
    if ('_zod' in schema) return toJSONSchema(schema as z.ZodType, { io: 'input' }) as JsonSchema;
    if (isZod(schema)) {
      return zodToJsonSchema(schema as never, { target: 'jsonSchema2019-09', $refStrategy: 'none' }) as JsonSchema;
    }
  } catch (error) {
    throw new ParleyError('invalid_argument', `the schema has no JSON form: ${(error as Error).message}`, {
      cause: error,
    });
  }
  return schema as JsonSchema;
}

function isZod(schema: object): boolean {
  return '_zod' in schema || ('_def' in schema && 'safeParse' in schema);
}

function acceptsAnything(schema: SchemaLike): boolean {
  const def = (schema as { _def?: { type?: string; typeName?: string } })._def;
  return ['any', 'unknown', 'ZodAny', 'ZodUnknown'].includes(def?.type ?? def?.typeName ?? '');
}
