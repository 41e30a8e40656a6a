import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ParleyError } from './errors.ts';
import type { JsonSchema } from './json-schema.ts';
import { checkInputSchema, inputProblem } from './tool-input.ts';

const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://example.com/order',
  type: 'object',
  properties: { order: { type: 'object', properties: { id: { type: 'string', pattern: '^[0-9]+$' } } } },
  required: ['order'],
};

test('an input that fits has no problem, and without a schema every input fits', () => {
  expect(inputProblem(schema, { order: { id: '7' }, more: 1 })).toBeNull();
  expect(inputProblem(undefined, null)).toBeNull();
});

test('a problem says where it is', () => {
  expect(inputProblem(schema, {})).toBe("input must have required property 'order'");
  expect(inputProblem(schema, { order: { id: 'x' } })).toBe('order.id must match pattern "^[0-9]+$"');
});

test('an input is never changed', () => {
  const input = { order: { id: '7' } };
  const withDefault = { type: 'object', properties: { n: { type: 'integer', default: 1 } } };
  expect(inputProblem(withDefault, input)).toBeNull();
  expect(input).toEqual({ order: { id: '7' } });
});

test('two schemas may carry the same $id', () => {
  expect(inputProblem({ ...schema }, { order: {} })).toBeNull();
  expect(inputProblem({ ...schema, required: ['other'] }, { order: {} })).toContain("'other'");
});

test('schemas that say the same are one, and those that differ in a word are not, however many there are', () => {
  const schemaOf = (n: number): JsonSchema => ({ type: 'object', properties: { n: { const: n } }, required: ['n'] });
  for (let round = 0; round < 2; round++) {
    for (let n = 0; n < 1_100; n++) {
      expect(inputProblem(schemaOf(n), { n })).toBeNull();
      expect(inputProblem(schemaOf(n), { n: n + 1 })).toBe('n must be equal to constant');
    }
  }
  const long = { type: 'object', description: 'x'.repeat(20_000), required: ['n'] };
  expect(inputProblem({ ...long }, {})).toBe("input must have required property 'n'");
  expect(inputProblem({ ...long }, { n: 1 })).toBeNull();
});

test('a schema that holds itself is refused', () => {
  const schema: Record<string, unknown> = { type: 'object' };
  schema['properties'] = { self: schema };
  for (const use of [() => inputProblem(schema, {}), () => checkInputSchema(schema)]) {
    expect(use).toThrow(ParleyError);
    expect(use).toThrow('input_schema is not a valid JSON Schema');
  }
});

test('a schema that cannot be used is refused when it is registered', () => {
  expect(() => checkInputSchema(schema)).not.toThrow();
  for (const bad of [{ type: 'strin' }, { properties: 5 }, { $ref: '#/$defs/None' }, { pattern: '(' }]) {
    expect(() => checkInputSchema(bad)).toThrow(ParleyError);
    expect(() => checkInputSchema(bad)).toThrow('input_schema is not a valid JSON Schema');
  }
});

test('the problems that Go is held against are these', () => {
  const file = new URL('../../go/fold/testdata/inputs.jsonl', import.meta.url);
  const cases = readFileSync(file, 'utf8').trimEnd().split('\n');
  expect(cases.length).toBeGreaterThan(100);
  for (const line of cases) {
    const { schema, input, problem } = JSON.parse(line) as {
      schema: JsonSchema;
      input: unknown;
      problem: string | null;
    };
    expect({ line, problem: inputProblem(schema, input) }).toEqual({ line, problem });
  }
});
