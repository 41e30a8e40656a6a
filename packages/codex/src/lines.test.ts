import { expect, test } from 'vitest';
import { LineReader } from './lines.ts';

/** All lines of a text that comes in pieces of this size. */
function read(text: string, size: number, max = 1000): string[] | null {
  const reader = new LineReader(max);
  const bytes = Buffer.from(text);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const found = reader.push(bytes.subarray(at, at + size));
    if (found === null) return null;
    lines.push(...found);
  }
  return lines;
}

test('lines are the same however they are cut, also within a character', () => {
  const text = '{"a":"größer 🧱"}\n\n{"b":2}\n{"c"';
  for (let size = 1; size <= text.length; size++) {
    expect(read(text, size)).toEqual(['{"a":"größer 🧱"}', '', '{"b":2}']);
  }
});

test('a line of five megabytes is a line', () => {
  const long = 'x'.repeat(5_000_000);
  expect(read(`${long}\n`, 65_536, 6_000_000)).toEqual([long]);
});

test('a line past the limit is told, before it ends', () => {
  expect(read('x'.repeat(2000), 100)).toBeNull();
  expect(read(`${'x'.repeat(990)}\n${'x'.repeat(990)}\n`, 100)).toHaveLength(2);
});
