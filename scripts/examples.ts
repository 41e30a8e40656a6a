// The examples of the docs compile, for whom they are meant: in a project that has installed the packages. Examples are the
// `@example` of docstrings and the TypeScript of each package's README; the samples of README.md have their own tests.

import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GIVEN } from './examples-given.ts';
import { isTest } from './layers.ts';
import type { Tarball } from './published.ts';
import { bin, type Package, root, run } from './workspace.ts';

export interface Example {
  /** Where it stands: `packages/core/src/ids.ts`. */
  readonly from: string;
  /** Of that file, where the example's first line stands, counted from 1. */
  readonly line: number;
  readonly text: string;
}

/** The `@example` of every docstring of a file, without the stars of the comment. `own` are the names that users can import. */
export function docstringExamples(from: string, source: string, own: ReadonlyMap<string, string>): Example[] {
  return [...source.matchAll(/\/\*\*[^]*?\*\//g)].flatMap(({ 0: comment, index }) => {
    const at = comment.indexOf('@example');
    const [, documented] = EXPORTED.exec(source.slice(index + comment.length)) ?? [];
    if (at < 0 || (documented !== undefined && !own.has(documented))) return [];
    const line = source.slice(0, index + at).split('\n').length;
    const lines = comment
      .slice(at + '@example'.length)
      .replace(/\s*\*\/$/, '')
      .split('\n')
      .map((text, n) => (n === 0 ? text.trim() : text.replace(/^\s*\* ?/, '')));
    const end = lines.findIndex((text) => text.startsWith('@'));
    return [{ from, line, text: (end < 0 ? lines : lines.slice(0, end)).join('\n').replaceAll(/^```\w*$/gm, '') }];
  });
}

/** What follows a docstring, where it is exported by its file; perhaps not by its package. */
const EXPORTED = /^\nexport (?:abstract )?(?:async )?\w+ (\w+)/;

/** The TypeScript of a page. */
export function pageExamples(from: string, page: string): Example[] {
  return [...page.matchAll(/^```tsx?\n([^]*?)^```$/gm)].map(({ 1: text = '', index }) => ({
    from,
    line: page.slice(0, index).split('\n').length + 1,
    text,
  }));
}

/** Names that can be imported from a declaration file. */
export function exportedNames(declarations: string): string[] {
  const listed = [...declarations.matchAll(/export (?:type )?\{([^}]*)\}/g)]
    .flatMap(([, list = '']) => list.split(','))
    .map(
      (name) =>
        name
          .trim()
          .replace(/^type /, '')
          .split(' as ')
          .at(-1) ?? '',
    );
  const declared = [...declarations.matchAll(/^export (?:declare )?(?:abstract )?\w+ (\w+)/gm)].map(
    ([, name = '']) => name,
  );
  return [...listed, ...declared].filter((name) => /^\w+$/.test(name));
}

/** Specifiers by the names that can be imported from them. */
export interface Importable {
  /** Of the package whose example it is. */
  readonly own: ReadonlyMap<string, string>;
  /** Of all packages: for the declarations of what is given. */
  readonly all: ReadonlyMap<string, string>;
}

/**
 * An example as a module. What it uses of its own package and does not import is imported, and what it takes as given is
 * declared, in the first line, so that the lines of the example stay what they are, one further down.
 *
 * @param given a declaration for each name.
 */
export function moduleOf({ text }: Example, { own, all }: Importable, given: Readonly<Record<string, string>>): string {
  const local = new Set([
    ...[...text.matchAll(/import (?:type )?\{([^}]*)\}/g)].flatMap(([, list = '']) =>
      list.split(',').map((name) => name.trim().replace(/^type /, '')),
    ),
    ...[...text.matchAll(/\b(?:const|let|using|class|function|interface|type|import) (\w+)/g)].map(
      ([, name = '']) => name,
    ),
    ...[...text.matchAll(/\b(?:const|let) [[{]([^=]*)[\]}] =/g)].flatMap(([, list = '']) =>
      list.split(',').map(
        (name) =>
          name
            .trim()
            .split(/[\s:]+/)
            .at(-1) ?? '',
      ),
    ),
  ]);
  const uses = (name: string): boolean =>
    !local.has(name) && new RegExp(`(?<![.\\w'"])${name}\\b(?!'|:\\s)`).test(text);
  const declared = Object.entries(given).filter(([name]) => uses(name));
  const code = declared.map(([, line]) => line).join(' ');
  const named = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(code);
  const imports = [...all]
    .filter(
      ([name]) => !local.has(name) && !Object.hasOwn(given, name) && ((own.has(name) && uses(name)) || named(name)),
    )
    .map(([name, specifier]) => `import { ${name} } from '${own.get(name) ?? specifier}';`);
  return `${imports.join(' ')} export {}; ${code}\n${text}\n`;
}

/** What does not compile, in a project that has the packages installed. */
export async function examplesThatFail(project: string, tarballs: readonly Tarball[]): Promise<string[]> {
  const folder = join(project, 'examples');
  mkdirSync(folder);
  const all = new Map(tarballs.flatMap(({ pkg }) => [...importableFrom(project, pkg)]));
  const files = new Map<string, Example>();
  for (const { pkg } of tarballs) {
    const importable = { own: importableFrom(project, pkg), all };
    const given = { ...GIVEN['*'], ...GIVEN[pkg.name] };
    for (const example of examplesIn(pkg, importable.own)) {
      const markup = /<\/\w*>|\/>/.test(example.text);
      const file = `e${files.size}.${markup ? 'tsx' : 'ts'}`;
      files.set(file, example);
      writeFileSync(join(folder, file), moduleOf(example, importable, given));
    }
  }
  const compilerOptions = {
    target: 'es2023',
    lib: ['es2024', 'esnext.disposable', 'esnext.decorators', 'dom', 'dom.iterable'],
    module: 'nodenext',
    jsx: 'react-jsx',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [...files.keys()] }));
  const { code, output } = await run(bin('tsc'), ['-p', folder, '--pretty', 'false'], { cwd: folder });
  if (code === 0) return files.size > 0 ? [] : ['no example was found'];
  const found = output.trimEnd().split('\n');
  return found.map((line) => {
    const [, file = '', at = '', rest = ''] = /^(e\d+\.tsx?)\((\d+),\d+\): (.*)$/.exec(line) ?? [];
    const example = files.get(file);
    return example ? `${example.from}:${example.line + Number(at) - 2}: example: ${rest}` : line;
  });
}

function examplesIn({ folder }: Package, own: ReadonlyMap<string, string>): Example[] {
  const page = `${folder}/README.md`;
  const sources = globSync(`${folder}/src/**/*.{ts,tsx}`, { cwd: root }).filter((path) => !isTest(path));
  return [
    ...globSync(page, { cwd: root }).flatMap((path) => pageExamples(path, readFileSync(join(root, path), 'utf8'))),
    ...sources.toSorted().flatMap((path) => docstringExamples(path, readFileSync(join(root, path), 'utf8'), own)),
  ];
}

/** The names that a package exports, and the specifier under which each is found; the main entry first. */
function importableFrom(project: string, pkg: Package): Map<string, string> {
  const importable = new Map<string, string>();
  for (const [entry, target] of Object.entries(pkg.exports ?? {})) {
    const types = typeof target === 'object' && target !== null && 'types' in target ? String(target.types) : null;
    if (types === null) continue;
    const text = readFileSync(join(project, 'node_modules', pkg.name, types), 'utf8');
    for (const name of exportedNames(text)) {
      if (!importable.has(name)) importable.set(name, pkg.name + entry.slice(1));
    }
  }
  return importable;
}
