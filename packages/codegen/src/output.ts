// What is generated, by path below schemas/, and how it compares with what is on disk.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capabilities, catalog } from './catalog.ts';
import { formatJson } from './format.ts';
import { fillBlocks } from './readme.ts';
import { schemaFiles } from './schemas.ts';

/** Every generated file: path below `root` (the schemas folder) and text. */
export function outputs(root: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const [file, schema] of schemaFiles()) files.set(`v1/${file}`, formatJson(schema));
  files.set('v1/catalog.json', formatJson(catalog()));
  files.set('v1/capabilities.json', formatJson(capabilities()));
  files.set('README.md', fillBlocks(readFileSync(join(root, 'README.md'), 'utf8')));
  return files;
}

/** What differs between `files` and the disk, one line each. A file of v1 that nothing generates is stale too. */
export function staleFiles(root: string, files: ReadonlyMap<string, string>): string[] {
  const stale: string[] = [];
  for (const [path, text] of files) {
    const onDisk = read(join(root, path));
    if (onDisk === null) stale.push(`${path} is missing`);
    else if (onDisk !== text) stale.push(`${path} differs`);
  }
  for (const path of strangers(root, files)) stale.push(`${path} is not generated any more`);
  return stale;
}

export function writeFiles(root: string, files: ReadonlyMap<string, string>): string[] {
  const written: string[] = [];
  for (const path of strangers(root, files)) rmSync(join(root, path));
  for (const [path, text] of files) {
    if (read(join(root, path)) === text) continue;
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    written.push(path);
  }
  return written;
}

function strangers(root: string, files: ReadonlyMap<string, string>): string[] {
  // Only v1 is generated as a whole; the folders of the languages hold code that people wrote.
  if (![...files.keys()].some((path) => path.startsWith('v1/'))) return [];
  mkdirSync(join(root, 'v1'), { recursive: true });
  return readdirSync(join(root, 'v1'))
    .map((name) => `v1/${name}`)
    .filter((path) => !files.has(path));
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
