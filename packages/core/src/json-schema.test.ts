import { expect, test } from 'vitest';
import { z } from 'zod';
import { z as z3 } from 'zod/v3';
import { zodToJsonSchema } from 'zod-to-json-schema';
import { ParleyError } from './errors.ts';
import { toJsonSchema } from './json-schema.ts';

const order = {
  type: 'object',
  properties: { order: { type: 'string', description: 'Its number' }, urgent: { type: 'boolean' } },
  required: ['order'],
};

test('zod 4', () => {
  const schema = z.object({ order: z.string().describe('Its number'), urgent: z.boolean().optional() });
  expect(toJsonSchema(schema)).toEqual(order);
});

test('zod 3', () => {
  const schema = z3.object({ order: z3.string().describe('Its number'), urgent: z3.boolean().optional() });
  expect(toJsonSchema(schema)).toEqual({ ...order, additionalProperties: false });
});

test('JSON Schema stays what it is, but for its $schema', () => {
  expect(toJsonSchema({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...order })).toEqual(order);
  expect(toJsonSchema({})).toEqual({});
});

test('a field with a default may be left out', () => {
  expect(toJsonSchema(z.object({ n: z.number().default(1) }))).not.toHaveProperty('required');
});

test('the trap: zod-to-json-schema says nothing of a zod 4 schema, and we do not ask it', () => {
  const schema = z.object({ order: z.string() });
  expect(Object.keys(zodToJsonSchema(schema as never)).filter((key) => key !== '$schema')).toEqual([]);
  expect(toJsonSchema(schema)).toHaveProperty('properties.order');
});

test('a schema that says nothing is refused, unless that is what it says', () => {
  const silent = { _def: {}, safeParse: () => null };
  expect(() => toJsonSchema(silent)).toThrow('it came out empty');
  expect(toJsonSchema(z.unknown())).toEqual({});
  expect(toJsonSchema(z3.any())).toEqual({});
});

test.each([
  ['a Date', z.object({ at: z.date() })],
  ['a bigint', z.bigint()],
])('%s has no JSON form, and that is said', (_, schema) => {
  expect(() => toJsonSchema(schema)).toThrow(ParleyError);
  expect(() => toJsonSchema(schema)).toThrow('the schema has no JSON form');
});

test('of a transform the input counts: that is what a model sends', () => {
  const schema = z.object({ at: z.string().transform((text) => text.length) });
  expect(toJsonSchema(schema)).toMatchObject({ properties: { at: { type: 'string' } } });
});

test('what is no schema at all is refused', () => {
  expect(() => toJsonSchema('string' as never)).toThrow('expected a zod schema or a JSON Schema, got string');
  expect(() => toJsonSchema(null as never)).toThrow(ParleyError);
});
