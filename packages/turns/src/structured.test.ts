import { expect, test } from 'vitest';
import { invalidOutputOf, turnFailureOf } from './failures.ts';
import { checkOutputSchema, parseStructured } from './structured.ts';

const text = { type: 'string' };
const closed = (properties: Record<string, unknown>, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});

test.each([
  ['a list', [], "outputSchema must be a JSON Schema with type 'object'"],
  ['a schema of a text', text, "outputSchema must be a JSON Schema with type 'object'"],
  ['an open object', { type: 'object', properties: {} }, 'outputSchema must have additionalProperties: false'],
  [
    'a field that may be missing',
    closed({ a: text, b: text }, ['a']),
    "outputSchema must require 'b' (make it nullable where it may be missing)",
  ],
  [
    'an open object in a field',
    closed({ a: { type: 'object' } }),
    'outputSchema.a must have additionalProperties: false',
  ],
  [
    'an open object in a list',
    closed({ a: { type: 'array', items: { type: 'object' } } }),
    'outputSchema.a[] must have additionalProperties: false',
  ],
  [
    'an open object among choices',
    closed({ a: { anyOf: [text, { type: 'object' }] } }),
    'outputSchema.a.anyOf[1] must have additionalProperties: false',
  ],
  [
    'an open object among definitions',
    { ...closed({}), $defs: { a: { type: 'object' } } },
    'outputSchema.$defs.a must have additionalProperties: false',
  ],
  [
    'an open object that may be null',
    closed({ a: { type: ['object', 'null'], properties: {} } }),
    'outputSchema.a must have additionalProperties: false',
  ],
  ['a type that there is not', closed({ a: { type: 'text' } }), 'outputSchema is not a valid JSON Schema'],
])('%s is refused before anything is asked', (_, schema, message) => {
  expect(() => checkOutputSchema(schema as Record<string, unknown>)).toThrow(message);
});

test('a strict schema with everything in it is taken', () => {
  const node = { $ref: '#/$defs/node' };
  const schema = {
    ...closed({ a: { anyOf: [node, { type: 'null' }] }, b: { type: 'array', items: text } }),
    $defs: { node: closed({ next: node }) },
  };
  expect(() => checkOutputSchema(schema)).not.toThrow();
});

test('an answer is parsed and held against its schema', () => {
  const schema = closed({ n: { type: 'integer' } });
  expect(parseStructured(schema, ' {"n": 1}\n')).toEqual({ n: 1 });
  for (const [answer, problem] of [
    ['', /^it is empty/],
    ['```json\n{"n":1}\n```', /^it is not JSON/],
    ['{"n":"1"}', /^n must be integer$/],
    ['[]', /^the answer must be object$/],
  ] as const) {
    let thrown: unknown;
    try {
      parseStructured(schema, answer);
    } catch (error) {
      thrown = error;
    }
    expect(turnFailureOf(thrown)).toBe('output_invalid');
    expect(invalidOutputOf(thrown)).toBe(answer);
    expect(thrown).toMatchObject({ details: { problem: expect.stringMatching(problem) as string } });
  }
});
