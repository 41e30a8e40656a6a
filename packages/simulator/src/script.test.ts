import { readFileSync } from 'node:fs';
import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { sayExactly } from './model.ts';
import { parseScript } from './script.ts';
import { startSimulator } from './simulator.ts';
import { smallestValue } from './smallest-value.ts';
import { fill } from './template.ts';
import { answered, connect } from './wire-client.test.support.ts';

test('the script of the README runs', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const example = /```json\n([\s\S]*?)```/u.exec(readme)?.[1] ?? '';
  await using simulator = await startSimulator({ script: parseScript(example), voice: 'coded' });
  await using client = await connect(simulator, {
    output_modalities: ['text'],
    tools: [{ type: 'function', name: 'lookup_order' }],
  });
  client.type('Hello!');
  await answered(client);
  client.type('Order 12?');
  await answered(client);
  const [call] = client.of('response.function_call_arguments.done');
  client.send({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: call?.['call_id'], output: '{"ship_day":"Monday"}' },
  });
  client.send({ type: 'response.create' });
  await answered(client);
  const said = client.of('response.output_text.done').map((event) => event['text']);
  expect(said).toEqual(['Hello. How can I help?', 'Order 12 ships on Monday.']);
});

test.each([
  ['rules:\n  - heard: "("\n    say: x', 'script, line 2, rules.0.heard: Invalid regular expression'],
  ['rules:\n  - heard: x\n    says: y', 'script, line 3, rules.0.says: unknown field'],
  ['rules:\n  - heard: x', 'script, line 2, rules.0: expected `say` or `call`'],
  ['otherwise: 5', 'script, line 1, otherwise: expected a string, got 5'],
  ['rules:\n  - say: x', 'script, line 2, rules.0.heard: expected a string, got nothing'],
  ['a: [', 'script, line 1'],
  ['{"mode": "loud"}', "script, line 1, mode: expected 'talk' or 'echo'"],
  ['[]', 'script, line 1, top: expected an object'],
])('a broken script is refused with its line and field: %j', (text, message) => {
  expect(() => parseScript(text)).toThrow(ParleyError);
  expect(() => parseScript(text)).toThrow(message);
});

test('an empty script repeats what it heard', () => {
  expect(parseScript('')).toEqual({ rules: [], otherwise: 'You said: {{heard}}' });
});

test('instructions to say exactly a text are told from others', () => {
  expect(sayExactly('Say exactly: Hello: world')).toBe('Hello: world');
  expect(sayExactly('say exactly: "Hello"')).toBe('Hello');
  expect(sayExactly('Say exactly: “Grüße”\n')).toBe('Grüße');
  expect(sayExactly('Say exactly:\nline one\nline two')).toBe('line one\nline two');
  expect(sayExactly('Be brief.')).toBeNull();
  expect(sayExactly(undefined)).toBeNull();
});

test('the smallest value of a schema has what is required and nothing else', () => {
  const schema = {
    type: 'object',
    required: ['kind', 'count', 'names', 'where'],
    properties: {
      kind: { enum: ['a', 'b'] },
      count: { type: 'integer', minimum: 3 },
      names: { type: 'array', minItems: 1, items: { type: 'string', minLength: 2 } },
      where: { type: 'object', required: ['lat'], properties: { lat: { type: ['number', 'null'] } } },
      note: { type: 'string' },
    },
  };
  expect(smallestValue(schema)).toEqual({ kind: 'a', count: 3, names: ['xx'], where: { lat: 0 } });
  expect(smallestValue(undefined)).toEqual({});
});

test('a template shows what stands at a path, and nothing from a prototype', () => {
  const values = { output: { day: 'Monday', list: [1, { a: 2 }] } };
  expect(
    fill('{{output.day}} {{ output.list.1.a }} {{output.list}} {{output.none}}{{output.constructor}}', values),
  ).toBe('Monday 2 [1,{"a":2}] ');
});
