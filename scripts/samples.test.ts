import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fillSamples, partShown } from './samples.ts';

const PAGE = 'before\n<!-- sample: echo -->\nold\n<!-- end -->\nafter\n';

test('a sample is shown once in each language that has it, and filling it again changes nothing', () => {
  const source = (path: string) =>
    path.endsWith('echo.ts')
      ? '// About it.\n\nconst a = 1;\n'
      : path.endsWith('echo.py')
        ? '"""About it."""\n\na = 1\n'
        : null;
  const filled = fillSamples(PAGE, source);
  expect(filled).toBe(
    'before\n<!-- sample: echo -->\n```ts\nconst a = 1;\n```\n\n```python\na = 1\n```\n<!-- end -->\nafter\n',
  );
  expect(fillSamples(filled, source)).toBe(filled);
});

test('a part of a file is shown from the left margin', () => {
  const file =
    'package main\n\nfunc main() {\n\t// sample begins\n\ta := 1\n\tif a > 0 {\n\t\tb()\n\t}\n\t// sample ends\n}\n';
  expect(partShown(file, 'main.go')).toBe('a := 1\nif a > 0 {\n\tb()\n}');
});

test('a sample that nobody has, a page without one and a part without an end are mistakes', () => {
  expect(() => fillSamples(PAGE, () => null)).toThrow("a sample 'echo' that no language has");
  expect(() => fillSamples('nothing', () => '')).toThrow('has no block');
  expect(() => partShown('a\n# sample ends\n', 'echo.py')).toThrow("echo.py: expected 'sample begins'");
});

test('the samples on the front page are of one size in every language', () => {
  const page = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, block = ''] = /<!-- sample: echo -->\n([\s\S]*?)<!-- end -->/.exec(page) ?? [];
  const samples = [...block.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, text = '']) => ({
    language,
    lines: text.split('\n').filter((line) => line.trim() !== '').length,
  }));
  expect(samples.map(({ language }) => language)).toEqual(['ts', 'python', 'go']);
  expect(samples.filter(({ lines }) => lines < 11 || lines > 13)).toEqual([]);
});
