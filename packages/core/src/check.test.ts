import { expect, test } from 'vitest';
import { z } from 'zod';
import { checked, compileCheck, contractSchema, describe, problemOf } from './check.ts';
import { CONTRACT, type ContractName } from './contract/catalog.ts';
import { FUNCTION_NAME_PATTERN, TARGET_PATTERN } from './contract/names.ts';
import { ParleyError } from './errors.ts';

test.each(Object.keys(CONTRACT) as ContractName[])('%s compiles, and refuses null with words', (name) => {
  expect(problemOf(name, null)?.message).toBe('the value must be an object, got null');
});

test.each([
  ['a keyword', { type: 'string', format: 'uri' }, "the JSON Schema keyword 'format'"],
  ['a nested keyword', { type: 'object', properties: { a: { not: {} } } }, "the JSON Schema keyword 'not'"],
  ['a type', { type: 'bigint' }, "the JSON Schema type 'bigint'"],
  ['a reference', { $ref: '#/$defs/Nowhere' }, "refers to '#/$defs/Nowhere'"],
  [
    'a union without a type',
    { oneOf: [{ type: 'object', properties: { a: { type: 'string' } } }] },
    "told apart by 'type'",
  ],
  ['a choice', { anyOf: [{ type: 'string' }, { type: 'number' }] }, 'anyOf in the contract may only mean: or null'],
])('%s outside of the subset is refused by name', (_, schema, words) => {
  expect(() => compileCheck(schema)).toThrow(words);
});

test('a problem of the whole says so, and one below says where', () => {
  const check = compileCheck({ type: 'array', minItems: 1, items: { type: 'string', minLength: 3 } });
  expect(check([], '')).toEqual({ path: '', message: 'the value must have at least 1 entry' });
  expect(check(['ab'], 'names')).toEqual({ path: 'names[0]', message: 'names[0] must have at least 3 characters' });
});

test('lengths are in code points at both bounds', () => {
  const check = compileCheck({ type: 'string', minLength: 2, maxLength: 3 });
  expect(check('😀', 'a')?.message).toBe('a must have at least 2 characters');
  expect(check('😀😀😀', 'a')).toBeNull();
  expect(check('😀😀😀x', 'a')?.message).toBe('a must have at most 3 characters');
});

test('a schema may refer to itself', () => {
  const check = compileCheck({
    $ref: '#/$defs/Node',
    $defs: { Node: { type: 'object', properties: { next: { $ref: '#/$defs/Node' } }, additionalProperties: false } },
  });
  expect(check({ next: { next: {} } }, '')).toBeNull();
  expect(check({ next: { next: { a: 1 } } }, '')?.path).toBe('next.next.a');
});

test('a string map checks its values, and fields of its own prototype are fields', () => {
  const check = compileCheck({ type: 'object', additionalProperties: { type: 'number' } });
  expect(check(JSON.parse('{"__proto__":"x"}'), '')?.path).toBe('__proto__');
  expect(check({ a: 1 }, '')).toBeNull();
});

test('numbers that are none are refused', () => {
  const check = compileCheck({ type: 'number' });
  expect(check(Number.NaN, 'a')?.message).toBe('a must be a number, got number');
  expect(check(Number.POSITIVE_INFINITY, 'a')).not.toBeNull();
});

test('checked gives back the value itself, or throws where', () => {
  const value = { text: 'hello' };
  expect(checked('SayRequest', value)).toBe(value);
  expect(() => checked('SayRequest', {})).toThrow(ParleyError);
  expect(() => checked('SayRequest', {})).toThrow(
    expect.objectContaining({ code: 'invalid_argument', details: { path: 'text' } }),
  );
});

test('what zod accepts, the check accepts, and the other way round', () => {
  const values = [{}, { provider: 'x' }, { metadata: [] }, { extra: 1 }, { model: '' }, { instructions: null }, []];
  for (const value of values) {
    expect(problemOf('StartRequest', value) === null).toBe(CONTRACT.StartRequest.safeParse(value).success);
  }
});

test('schemas are emitted once and never come out empty', () => {
  expect(contractSchema('SessionEvent')).toBe(contractSchema('SessionEvent'));
  for (const name of Object.keys(CONTRACT) as ContractName[]) {
    expect(Object.keys(z.toJSONSchema(CONTRACT[name])).length).toBeGreaterThan(1);
  }
});

test('an excerpt is cut after 64 code points', () => {
  expect(describe('a'.repeat(64))).toBe(`'${'a'.repeat(64)}'`);
  expect(describe('😀'.repeat(65))).toBe(`'${'😀'.repeat(64)}…'`);
  expect([null, [], {}, 5, true].map(describe)).toEqual(['null', 'array', 'object', 'number', 'boolean']);
});

test('patterns hold in any place and stop at the very end', () => {
  for (const pattern of [FUNCTION_NAME_PATTERN, TARGET_PATTERN])
    expect(new RegExp(pattern, 'u').test('a.b\n')).toBe(false);
});
