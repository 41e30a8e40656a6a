import { expect, test } from 'vitest';
import { goTypes } from './go.ts';

const text = { type: 'string' };

test('a required field is a value, an optional one can be missing, and lists and raw JSON have their own nil', () => {
  const source = goTypes({
    Json: { description: 'Any JSON value.' },
    Order: {
      type: 'object',
      description: 'One order.',
      properties: {
        order_id: text,
        note: text,
        tags: { type: 'array', items: text },
        data: { $ref: '#/$defs/Json' },
        left: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
      },
      required: ['order_id', 'left'],
    },
  });
  expect(source).toContain(`
// Order: One order.
type Order struct {
	OrderID string   \`json:"order_id"\`
	Note    *string  \`json:"note,omitzero"\`
	Tags    []string \`json:"tags,omitzero"\`
	Data    Json     \`json:"data,omitzero"\`
	Left    *Int     \`json:"left"\`
}
`);
});

test.each([
  ['a type that Go has not', { properties: { at: { type: 'date' } } }, "OrderAt: Go has no type for 'date'"],
  ['a union without a name', { properties: { at: { anyOf: [text, text] } } }, 'OrderAt: anyOf may only mean: or null'],
  ['a reference to elsewhere', { properties: { at: { $ref: 'x.json' } } }, 'OrderAt: cannot follow x.json'],
  ['a name that is none', { properties: { 'a-b': text } }, "'a-b' is no name for a field of a Go struct"],
])('%s is refused by name', (_, schema, message) => {
  expect(() => goTypes({ Order: { type: 'object', ...schema } })).toThrow(message);
});
