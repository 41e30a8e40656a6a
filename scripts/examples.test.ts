import { expect, test } from 'vitest';
import { docstringExamples, exportedNames, moduleOf, pageExamples } from './examples.ts';

const own = new Map([
  ['open', '@parley/part'],
  ['Sink', '@parley/part/testing'],
]);
const all = new Map([...own, ['Source', '@parley/other']]);

test('an example of a docstring is what stands after @example, up to the next tag, with the line that it stands in', () => {
  const source = [
    '/** What comes first. */',
    '/**',
    ' * Opens it.',
    ' *',
    ' * @example',
    ' * const it = open();',
    ' * it.close();',
    ' * @see other',
    ' */',
    'export function open() {}',
    '/** @example close(1) */',
    'export function close() {}',
    'class Sink {',
    '  /**',
    '   * @example',
    '   * sink.push(1);',
    '   */',
    '  push() {}',
    '}',
  ].join('\n');
  expect(docstringExamples('a.ts', source, own)).toEqual([
    { from: 'a.ts', line: 5, text: '\nconst it = open();\nit.close();' },
    { from: 'a.ts', line: 15, text: '\nsink.push(1);' },
  ]);
  // `close` is exported by its file alone: nobody else can write its example.
  expect(docstringExamples('a.ts', source, new Map([...own, ['close', '@parley/part']]))).toHaveLength(3);
});

test('the examples of a page are its TypeScript', () => {
  const page = '# Part\n\n```sh\nnpm i\n```\n\n```ts\nopen();\n```\n\n```tsx\n<b />;\n```\n';
  expect(pageExamples('README.md', page)).toEqual([
    { from: 'README.md', line: 8, text: 'open();\n' },
    { from: 'README.md', line: 12, text: '<b />;\n' },
  ]);
});

test('what a declaration file exports is found in lists and at declarations', () => {
  const text = `export { a, type B, c as d } from './x.ts';\nexport type { E } from './y.ts';\nexport declare function f(): void;\nexport interface G {}\n`;
  expect(exportedNames(text).toSorted()).toEqual(['B', 'E', 'G', 'a', 'd', 'f']);
});

test('an example imports what it uses of its own package, and declares what it takes as given', () => {
  const given = { source: 'declare const source: Source;', unused: 'declare const unused: 1;' };
  const [head, ...rest] = moduleOf(
    { from: 'a.ts', line: 1, text: 'open(source, new Sink());' },
    { own, all },
    given,
  ).split('\n');
  expect(rest).toEqual(['open(source, new Sink());', '']);
  expect(head).toContain(`import { open } from '@parley/part';`);
  expect(head).toContain(`import { Sink } from '@parley/part/testing';`);
  expect(head).toContain(`import { Source } from '@parley/other';`);
  expect(head).toContain('declare const source: Source;');
  expect(head).not.toContain('unused');
});

test('what an example imports, declares or only names in passing is not imported again', () => {
  const text = `import { open } from '@parley/part';\nconst { Sink } = it;\nit.Source; it.open; say('open');`;
  const [head] = moduleOf({ from: 'a.ts', line: 1, text }, { own, all }, {}).split('\n');
  expect(head?.trim()).toBe('export {};');
});
